#!/usr/bin/env bash
# An entry that is read again and again shows every change at once: after an acknowledged write on the same connection and
# another, after a change that the log tells of, after deleting, retiring, removing its author, and merging from a peer.
. "$(dirname "$0")/lib.bash"

start 1 --new-mesh ours
join 2
token=$(on 1 token new --scope write)
base=http://$(field 1 http)
echo '{"name":"hot"}' | on 1 put model - >"$work/id" || fail "put"
id=$(cat "$work/id")
url=$base/models/$id
hot() { curl -sS -o /dev/null -o /dev/null -o /dev/null "$1" "$1" "$1"; } # asked for often enough to be kept ready

say "a write, then a read on the same connection and on another"
for i in {1..10}; do
    old=$(curl -sS -o /dev/null -w '%header{etag}' "$url")
    got=$(curl -sS -o /dev/null -o /dev/null -o /dev/null "$url" "$url" "$url" \
        --next -sS -X PATCH -H "Authorization: Bearer $token" -H 'Content-Type: application/merge-patch+json' -d "{\"version\":\"$i\"}" -w '%{http_code} ' -o "$work/patched" "$url" \
        --next -sS -D "$work/head" -o "$work/read" -w '%{num_connects}' "$url")
    [[ $got == '200 0' ]] || fail "a write and a read on one connection: $got"
    [[ $(jq -r .model.version "$work/read") == "$i" ]] || fail "the same connection reads the state before write $i"
    [[ $(curl -sS "$url" | jq -r .model.version) == "$i" ]] || fail "another connection reads the state before write $i"
    cmp -s "$work/patched" "$work/read" || fail "the write's answer and the read differ"
    grep -qi "^etag: \"$(jq -r .meta.revision "$work/read")\"" "$work/head" || fail "the tag is not of this state: $(cat "$work/head")"
    [[ $(curl -sS -o /dev/null -w '%{http_code}' -H "If-None-Match: $old" "$url") == 200 ]] || fail "the old tag still holds"
done

say "a change that the log tells of is there to be read"
for i in {1..10}; do
    hot "$url"
    http 1 PATCH "/models/$id" -H 'Content-Type: application/merge-patch+json' -d "{\"version\":\"seen $i\"}" -o /dev/null &
    until last=$(curl -sS -o "$work/log" "$base/changes?limit=500" --next -sS "$url") &&
        [[ $(jq -r .model.version <<<"$last") == "seen $i" ]]; do
        jq -e --arg id "$id" --arg read "$(jq -r .meta.revision <<<"$last")" '[.changes[] | select(.id == $id) | .revision]
            | index($read) as $at | $at == null or $at == length - 1' "$work/log" >/dev/null || fail "the log told of more than the read shows"
    done
    wait $!
done

say "a merge from a peer"
echo '{"name":"theirs"}' | on 2 put model - >"$work/id2" || fail "put"
theirs=$(cat "$work/id2")
shows() { [[ $(curl -sS "$base/models/$theirs" | jq -r .model.version) == "$1" ]]; }
for i in {1..5}; do
    [[ $(code 2 PATCH "/models/$theirs" -H 'Content-Type: application/merge-patch+json' -d "{\"version\":\"$i\"}") == 200 ]] || fail "PATCH"
    await 20 "write $i of the peer shows" shows "$i"
    hot "$base/models/$theirs"
    shows "$i" || fail "it shows and then does not"
done

say "its author is removed, and admitted again"
status_is() { [[ $(curl -sS -o /dev/null -w '%{http_code}' "$1") == "$2" ]]; }
writer=$(on 2 key ls -o json | jq -r '.[] | select(.name == "publisher") | .key')
on 1 mesh admit "$writer" && on 1 mesh charter set admission=members || fail "charter"
hot "$base/models/$theirs"
on 1 mesh remove "$writer" || fail "remove"
await 20 "the entry of a removed author is hidden" status_is "$base/models/$theirs" 404
on 1 mesh admit "$writer" || fail "admit"
await 20 "and is back" status_is "$base/models/$theirs" 200

say "its key is retired"
on 1 key new next >"$work/next" && on 1 mesh admit "$(cat "$work/next")" || fail "key new"
hot "$url"
on 1 key retire publisher next >"$work/retired" 2>&1 || fail "retire"
[[ $(curl -sS "$url" | jq -r '.meta.moved_to // "-"') != - ]] || fail "the entry does not say where it went"

say "it is deleted"
hot "$url"
got=$(curl -sS -o /dev/null "$url" --next -sS -X DELETE -H "Authorization: Bearer $token" -w '%{http_code} ' "$url" --next -sS -o /dev/null -w '%{http_code}' "$url")
[[ $got == '204 404' ]] || fail "deleted and read on one connection: $got"
status_is "$url" 404 || fail "it is deleted, and read on another connection"
stop 1
stop 2
