#!/usr/bin/env bash
# Key life: writers granted, revoked and granted again, from the command line and over HTTP; a key that is retired, with
# readers on every node following by name and told by id; and nobody but the owner says where an entry went.
. "$(dirname "$0")/lib.bash"

key_of() { on "$1" key ls -o json | jq -r ".[] | select(.name == \"$2\") | .key"; }
meta() { http "$1" GET "/models/$2" | jq -r ".meta.$3 // \"-\""; }
patch() { # N AS ID JSON: the status
    code "$1" PATCH "/models/$3" -H "X-Souk-As: $2" -H 'Content-Type: application/merge-patch+json' -d "$4"
}

start 1
join 2
on 1 key new old >"$work/old" && on 1 key new new >"$work/new" || fail "key new"
for name in one two; do
    echo "{\"name\":\"$name\",\"description\":\"d\",\"tags\":[\"t\"]}" | on 1 put model - --as old >"$work/id.$name" || fail "put"
done
echo '{"name":"helper","description":"an agent"}' | on 1 put agent - --as old >/dev/null || fail "put agent"
id=$(cat "$work/id.one")
await 20 "equal" same_state 1 2

say "writers over HTTP: granted, revoked, granted again"
writer=$(key_of 2 publisher)
token=$(on 1 token new --scope write --as old)
writers() { # METHOD PATH [JSON]
    curl -sS -o "$work/answer" -w '%{http_code}' -X "$1" -H "Authorization: Bearer $token" ${3:+-d "$3"} "http://$(field 1 http)/models/$id/writers$2"
}
[[ $(writers PUT "/$writer") == 200 && $(jq -r '.writers[0].key' "$work/answer") == "$writer" ]] || fail "PUT: $(cat "$work/answer")"
[[ $(writers PUT "/$writer") == 200 && $(jq '.writers | length' "$work/answer") == 1 ]] || fail "PUT again: $(cat "$work/answer")"
epoch=$(jq '.writers[0].epoch' "$work/answer")
[[ $(writers PUT "/nobody") == 404 ]] || fail "PUT of no key"
await 20 "equal" same_state 1 2
[[ $(patch 2 publisher "$id" '{"version":"by a writer"}') == 200 ]] || fail "a writer writes"
await 20 "equal" same_state 1 2
[[ $(writers DELETE "/$writer") == 204 ]] || fail "DELETE"
await 20 "equal" same_state 1 2
for n in 1 2; do [[ $(http $n GET "/models/$id" | jq -r .model.version) != 'by a writer' ]] || fail "what a revoked writer wrote shows on $n"; done
told() { grep -q 'write [0-9a-f]* of the key publisher to model "one" does not count any more: the right to it was taken back' "$work/2.err"; }
await 10 "the writer's node is told that an acknowledged write was taken back" told
! grep -q 'does not count any more' "$work/1.err" || fail "the owner's node is told of others' writes"
[[ $(patch 2 publisher "$id" '{"version":"again"}') == 403 ]] || fail "a revoked writer writes"
[[ $(writers POST '' "{\"key\":\"$writer\"}") == 200 && $(jq '.writers[0].epoch' "$work/answer") -gt $epoch ]] || fail "POST: $(cat "$work/answer")"
await 20 "equal" same_state 1 2
[[ $(http 2 GET "/models/$id" | jq -r .model.version) != 'by a writer' ]] || fail "a new grant needs new writes"
[[ $(patch 2 publisher "$id" '{"version":"granted again"}') == 200 ]] || fail "a writer that was granted again"
await 20 "equal" same_state 1 2
[[ $(http 1 GET "/models/$id" | jq -r .model.version) == 'granted again' ]] || fail "its write does not show"

say "nobody else says where an entry went"
other=$(printf 'c%.0s' {1..64})
forged="{\"moved_to\":{\"id\":\"$other\",\"signature\":\"$(head -c 64 /dev/zero | base64 -w0)\"}}"
[[ $(patch 2 publisher "$id" "$forged") == 200 ]] || fail "the schema takes it"
await 20 "equal" same_state 1 2
for n in 1 2; do
    [[ $(meta $n "$id" moved_to) == - ]] || fail "a forged succession is believed on $n"
    [[ $(http $n GET "/models/$id" | jq '.model | has("moved_to")') == false ]] || fail "a forged succession is shown on $n"
    [[ $(http $n GET /models/one | jq -r .meta.id) == "$id" ]] || fail "a reader follows it on $n"
done

say "a key is retired"
refused() { # STATUS PATTERN VERB...
    on 1 "${@:3}" >/dev/null 2>"$work/log"
    [[ $? == "$1" ]] && grep -qE "$2" "$work/log" || fail "souk ${*:3}: $(cat "$work/log")"
}
refused 3 'no author key named "nobody"' key retire nobody new
refused 1 'cannot succeed itself' key retire old old
[[ $(on 1 key retire old new) == '3 entries of old are now new'"'"'s' ]] || fail "retire"
await 20 "equal" same_state 1 2
for n in 1 2; do
    to=$(meta $n "$id" moved_to)
    [[ $to =~ ^[0-9a-f]{64}$ && $(meta $n "$to" owner) == "$(cat "$work/new")" ]] || fail "the old entry does not tell on $n"
    [[ $(http $n GET /models/one | jq -r .meta.id) == "$to" ]] || fail "a name does not follow on $n"
    [[ $(http $n GET "/models/$to" | jq -c '[.model.description,.model.tags,.model.version]') == '["d",["t"],"granted again"]' ]] || fail "the copy differs on $n"
    [[ $(http $n GET "/models/$(cut -c1-12 "$work/old")%2Fone" | jq -r .meta.id) == "$id" ]] || fail "an owner that is named is not followed on $n"
    on $n get model one | found "^owner  *$(cat "$work/new")" || fail "souk get does not follow on $n"
    on $n get model "$id" | found "^moved_to  *$to" || fail "souk get does not tell on $n"
    [[ $(http $n GET /agents/helper | jq -r .meta.owner) == "$(cat "$work/new")" ]] || fail "an agent does not follow on $n"
done
[[ $(on 1 key retire old new) == '0 entries'* ]] || fail "again"
[[ $(patch 1 new "$(meta 1 "$id" moved_to)" '{"version":"2"}') == 200 ]] || fail "the new key writes"

say "and its successor as well"
on 1 key new newest >"$work/newest" || fail "key new"
[[ $(on 1 key retire new newest) == '3 entries of new'* ]] || fail "retire new"
await 20 "equal" same_state 1 2
for n in 1 2; do
    [[ $(http $n GET /models/one | jq -r .meta.owner) == "$(cat "$work/newest")" ]] || fail "a name stops half way on $n"
    on $n verify >/dev/null || fail "verify on $n"
done

say "a key is lost, and leaves a will"
on 1 key new mortal >"$work/mortal" && on 2 key new heir >"$work/heir" || fail "key new"
for name in estate burnt; do echo "{\"name\":\"$name\",\"description\":\"of the lost key\"}" | on 1 put model - --as mortal >"$work/id.$name" || fail "put"; done
on 1 key retire mortal "$(cat "$work/heir")" --will "$work/will" 2>"$work/log" || fail "will: $(cat "$work/log")"
grep -q '2 entries of mortal are in' "$work/log" && [[ $(stat -c %a "$work/will") == 600 ]] || fail "$(cat "$work/log")"
refused 4 'File exists' key retire mortal "$(cat "$work/heir")" --will "$work/will"
refused 1 'the successor is another author key' key retire mortal nobody --will "$work/will2"
[[ $(meta 1 "$(cat "$work/id.estate")" moved_to) == - ]] || fail "a will moves something already"
on 1 rm model burnt --as mortal || fail "rm"
await 20 "equal" same_state 1 2
stop 1
rm "$work/1/keys/mortal"
start 1 --peer "$(field 2 mesh)"
refused 1 'no will in favour of that key' key succeed "$work/will" --as new
echo hello >"$work/no-will"
refused 1 'is not a will' key succeed "$work/no-will" --as new
[[ $(on 2 key succeed "$work/will" --as heir) == '1 entries taken over' ]] || fail "succeed"
await 20 "equal" same_state 1 2
for n in 1 2; do
    [[ $(http $n GET /models/estate | jq -r '.meta.owner + " " + .model.description') == "$(cat "$work/heir") of the lost key" ]] || fail "the heir's entry on $n"
    [[ $(meta $n "$(cat "$work/id.estate")" moved_to) == "$(http $n GET /models/estate | jq -r .meta.id)" ]] || fail "the lost key's entry does not tell on $n"
    [[ $(code $n GET /models/burnt) == 404 ]] || fail "a will brings back what was deleted on $n"
done
[[ $(on 2 key succeed "$work/will" --as heir) == '1 entries taken over' ]] || fail "again"
for n in 1 2; do on $n verify >/dev/null || fail "verify on $n"; stop $n; done
