#!/usr/bin/env bash
# A data directory that is put back from an old copy, onto a mesh that went on meanwhile: it writes at once, before it has
# heard of anything, and nothing is lost on either side. Cursors of the time after the copy are refused, not misread.
. "$(dirname "$0")/lib.bash"

field_of() { http "$1" GET "/models/$2" | jq -r ".model.$3"; }
edit() { # N NAME JSON
    [[ $(code "$1" PATCH "/models/$2" -H 'Content-Type: application/merge-patch+json' -d "$3") == 200 ]] || fail "edit of $2 on $1"
}
put() { echo "{\"name\":\"$2\",\"description\":\"$3\"}" | on "$1" put model - >/dev/null || fail "put $2 on $1"; }
revisions() { on "$1" history model "$2" -o jsonl | jq -r .op | sort -u | wc -l; }

start 1
join 2
for name in kept edited deleted; do put 1 $name before; done
id=$(on 1 get model edited -o json | jq -r .meta.id)
await 20 "equal" same_state 1 2
stop 1
cp -a "$work/1" "$work/copy"

say "the mesh goes on after the copy"
start 1 --peer "$(field 2 mesh)"
edit 1 edited '{"version":"after the copy"}'
on 1 rm model deleted || fail "rm"
put 1 later 'by the one that was lost'
catalogue 40 | on 1 import jsonl - >/dev/null 2>&1 || fail "import"
await 20 "equal" same_state 1 2
at_the_end() { # the nodes' own entries may still change
    cursor=$(http 1 GET '/changes?limit=200' | jq -r .next_cursor)
    [[ $(http 1 GET "/changes?since=$cursor" | jq '.changes | length') == 0 ]]
}
await 20 "a cursor of now has nothing after it" at_the_end
stop 1
deltas=$(status 2 .deltas)
stop 2

say "the copy is put back and writes before it meets anybody"
rm -r "$work/1"
cp -a "$work/copy" "$work/1"
start 1
[[ $(code 1 GET "/changes?since=$cursor") == 400 ]] || fail "a cursor of a log that is gone is taken"
edit 1 edited '{"description":"by the copy"}'
put 1 later 'by the copy'
put 1 deleted 'made anew by the copy'
catalogue 60 | sed 's|made/|again/|' | on 1 import jsonl - >/dev/null 2>&1 || fail "import by the copy"
[[ $(http 1 GET "/changes?since=$cursor" | jq -r .code) == foreign_cursor ]] || fail "a cursor of the lost log means something else now"

say "and meets the mesh"
start 2 --peer "$(field 1 mesh)"
await 30 "equal" same_state 1 2
for n in 1 2; do
    [[ $(field_of $n edited version) == 'after the copy' && $(field_of $n edited description) == 'by the copy' ]] ||
        fail "an edit is lost on $n: $(on $n get model edited -o json)"
    [[ $(field_of $n kept description) == before ]] || fail "kept"
    [[ $(field_of $n later description) == 'by the copy' ]] || fail "the newer of two puts by one key shows: $(field_of $n later description)"
    [[ $(field_of $n deleted description) == 'made anew by the copy' ]] || fail "what was made after the delete is gone on $n"
    [[ $(revisions $n later) == 2 && $(revisions $n edited) == 3 ]] || fail "a revision is lost on $n"
    [[ $(on $n ls model --all -o jsonl | wc -l) == 104 ]] || fail "$n shows $(on $n ls model --all -o jsonl | wc -l) models"
    [[ $(status $n .deltas) -gt $deltas ]] || fail "deltas are lost on $n"
done

say "rights that were given after the copy"
writer=$(on 2 key ls -o json | jq -r '.[0].key')
on 1 writer add model kept "$writer" || fail "writer add"
await 20 "equal" same_state 1 2
[[ $(code 2 PATCH "/models/$(on 2 get model kept -o json | jq -r .meta.id)" -d '{"version":"by a writer"}') == 200 ]] || fail "the writer writes"
await 20 "equal" same_state 1 2
[[ $(http 1 GET "/models/$id" | jq .meta.incomplete) == false ]] || fail "a body is missing"
for n in 1 2; do on $n verify >"$work/verify" || fail "verify on $n: $(cat "$work/verify")"; done
for n in 1 2; do stop $n; done
