#!/usr/bin/env bash
# Both sides of a partition, holding one author key, edit different fields of one model. After healing both
# edits are on both sides and the history shows both. Edits of one field are a conflict that the next write ends.
. "$(dirname "$0")/lib.bash"
export SOUK_PASSPHRASE='a passphrase'

start 1
join 2
await 10 "connected" peers_up 2 1
on 1 key export publisher "$work/publisher.key" || fail "export"
[[ $(stat -c %a "$work/publisher.key") == 600 ]] || fail "an exported key can be read by others"
! grep -q "$(on 1 key ls -o json | jq -r '.[0].key')x" "$work/publisher.key" || fail "no"
on 2 key import "$work/publisher.key" 2>/dev/null && fail "a key of that name is there already"
sed -i "s/^name publisher/name shared/" "$work/publisher.key"
SOUK_PASSPHRASE=wrong on 2 key import "$work/publisher.key" 2>/dev/null
[[ $? == 5 ]] || fail "a changed or wrongly opened key must be denied"

say "one author key on two nodes"
on 1 key new shared >"$work/shared.pub" || fail "new key"
on 1 key export shared "$work/shared.key" || fail "export"
[[ $(on 2 key import "$work/shared.key") == "$(cat "$work/shared.pub")" ]] || fail "import"
id=$(echo '{"name":"both","description":"before","version":"1"}' | on 1 put model - --as shared) || fail "put"
await 10 "the model is on node 2" same_state 1 2

say "partition"
on 1 peer ban "$(field 2 id)" || fail "ban"
on 2 peer ban "$(field 1 id)" || fail "ban"
cut() { ! peers_up 1 1 && ! peers_up 2 1; }
await 10 "the link is cut" cut
edit() { # N JSON
    [[ $(code "$1" PATCH "/models/$id" -H 'X-Souk-As: shared' -H 'Content-Type: application/merge-patch+json' -d "$2") == 200 ]] ||
        fail "edit on node $1"
}
edit 1 '{"description":"written on one"}'
edit 2 '{"version":"2"}'
same_state 1 2 && fail "the partition leaks"

say "heal"
on 1 peer unban "$(field 2 id)" || fail "unban"
on 2 peer unban "$(field 1 id)" || fail "unban"
on 2 peer add "$(field 1 mesh)" || fail "add"
await 20 "both sides are equal" same_state 1 2
for n in 1 2; do
    got=$(http $n GET "/models/$id" | jq -c '[.model.description, .model.version, .meta.heads, (.meta.conflicts | length)]')
    [[ $got == '["written on one","2",2,0]' ]] || fail "node $n shows $got"
    history=$(on $n history model "$id" -o jsonl | jq -r '.op' | sort | uniq | wc -l)
    [[ $history == 3 ]] || fail "the history of node $n has $history revisions, not 3"
done

say "edits of one field"
on 1 peer ban "$(field 2 id)" && on 2 peer ban "$(field 1 id)" || fail "ban"
await 10 "the link is cut" cut
edit 1 '{"description":"left"}'
edit 2 '{"description":"right"}'
on 1 peer unban "$(field 2 id)" && on 2 peer unban "$(field 1 id)" || fail "unban"
on 2 peer add "$(field 1 mesh)"
await 20 "both sides are equal" same_state 1 2
for n in 1 2; do
    [[ $(http $n GET "/models/$id" | jq -r '.meta.conflicts[0].field') == description ]] || fail "no conflict on node $n"
    on $n conflicts -o json >"$work/conflicts"
    [[ $(jq -r '.[0].id' "$work/conflicts") == "$id" ]] || fail "node $n does not list the conflict"
    jq -e --arg key "$(cat "$work/shared.pub")" '.[0] | .kind == "model" and .name == "both" and .conflicts[0].field == "description"
        and (.conflicts[0].values | length == 2 and (map(select(.shown)) | length) == 1
             and all(.[]; .value != null and (.authors | length) == 1 and .authors[0].key == $key and .authors[0].at != ""))' \
        "$work/conflicts" >/dev/null || fail "node $n does not say who wrote what: $(cat "$work/conflicts")"
    on $n conflicts >"$work/conflicts"
    for word in both description shown "souk put model" "$(cut -c1-12 "$work/shared.pub")"; do
        grep -qF "$word" "$work/conflicts" || fail "node $n conflicts lacks \"$word\": $(cat "$work/conflicts")"
    done
    [[ $(on $n conflicts -o jsonl | wc -l) == 1 ]] || fail "conflicts -o jsonl is a line an entry"
done
edit 2 '{"description":"settled"}'
await 10 "both sides are equal" same_state 1 2
for n in 1 2; do
    got=$(http $n GET "/models/$id" | jq -c '[.model.description, .meta.heads, (.meta.conflicts | length)]')
    [[ $got == '["settled",1,0]' ]] || fail "node $n shows $got"
    [[ $(on $n conflicts -o json) == '[]' ]] || fail "node $n still lists a conflict"
done
stop 1
stop 2
