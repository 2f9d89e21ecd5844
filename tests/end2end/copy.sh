#!/usr/bin/env bash
# A bulk copy: the node that it comes from is killed on the way. The copy goes on when it is back, fetches only what is
# missing, and says how far it is all the while.
. "$(dirname "$0")/lib.bash"

# Few and large rows: more bytes than a node takes ahead of its store (24 MiB) and has under way (8 MiB and what waits to
# be sent), so that a tenth in the store means that the rest is not there yet.
start 1
awk 'BEGIN { srand(7); for (i = 1; i <= 2600; i++) {
    printf "{\"kind\":\"model\",\"model\":{\"name\":\"large/%d\",\"metadata\":{", i
    for (k = 0; k < 32; k++) { printf "%s\"k%d\":\"", k ? "," : "", k; for (j = 0; j < 64; j++) printf "%016d", rand() * 1e15; printf "\"" }
    printf "}}}\n" } }' >"$work/rows.jsonl"
on 1 import jsonl "$work/rows.jsonl" >/dev/null 2>"$work/import.log" || fail "the import: $(tail -n 3 "$work/import.log")"
all=$(status 1 .deltas)

copy() { http "$1" GET /admin/copy | jq -r "$2"; }
received() { status "$1" '[.peers[].received_bytes] | add'; }
held() { http "$1" GET /metrics | sed -nE 's/^souk_deltas ([0-9]+)$/\1/p'; }
# half N: a node that copies from node 1, which is stopped when it has sent 20 MB: the copy stays half-way, whatever the speed.
half() {
    "$build/tests/relay" "$(field 1 mesh | sed 's/.*://')" "${pid[1]}" 20000000 >"$work/relay.$1" &
    pid[relay$1]=$!
    await 30 "the relay listens" test -s "$work/relay.$1"
    start "$1" --mesh "$(field 1 mesh_id)" --peer "$(cat "$work/relay.$1")"
}

say "node 2 copies, node 1 is killed on the way"
half 2
"$souk" --dir "$work/2" status -w >"$work/watch.out" 2>&1 &
watch=$!
tenth() { [[ $(held 2) -ge $((all / 10)) ]]; }
await 60 "a tenth of it is there" tenth
await 10 "status -w shows the copy" grep -qE '^copying +[0-9]+ of about [0-9]+ deltas' "$work/watch.out"
kill9 1
was_interrupted() { [[ $(copy 2 .running) == false ]]; }
await 60 "node 2 says that the copy does not go on" was_interrupted
had=$(held 2)
echo "$had of $all deltas were there"
[[ $had -lt $all ]] || fail "all of it was there: nothing is shown"
grep -q 'the copy is interrupted' "$work/2.err" || fail "nothing in the log"

say "node 1 comes back"
start 1 --peer "$(field 2 mesh)"
await 60 "both are equal" same_state 1 2
kill "$watch"
wait "$watch" 2>/dev/null
received_twice=$(received 2)

say "node 3 copies without a break: what it costs"
kill -STOP "${pid[2]}" # or it gives the rest
half 3
script -qefc "$souk --dir $work/3 sync >$work/sync.out" "$work/screen" </dev/null >/dev/null & # the bar goes to a terminal
sync=$!
shown() { tr '\r' '\n' <"$work/screen" | found -E '^\[#+ *\] +[0-9]+ %  [0-9]+ deltas '; }
await 30 "a terminal" test -e "$work/screen"
await 30 "souk sync shows the copy" shown
kill -CONT "${pid[1]}" "${pid[2]}"
wait $sync || fail "souk sync"
cat "$work/sync.out"
grep -qE '^[0-9]+ deltas came$' "$work/sync.out" || fail "souk sync did not say what came"
grep -qE '^[0-9]+ of [0-9]+ peers hold the same deltas$' "$work/sync.out" || fail "souk sync did not say how it ended"
settled() { peers_up 3 2 && [[ $(status 3 .entries.node) == 3 ]] && same_state 1 2 3; }
await 60 "node 3 is equal" settled
[[ $(on 3 sync) == "2 of 2 peers hold the same deltas" ]] || fail "souk sync of equal nodes"
whole=$(received 3)
echo "$whole bytes at once, $received_twice with a break after $had of $all deltas"
[[ $received_twice -lt $(($(stat -c %s "$work/rows.jsonl") + 10000000)) ]] || fail "more than one window was sent twice"
[[ $(on 3 sync -o json | jq -r '.running, .to_get') == $'false\n0' ]] || fail "souk sync -o json"
for n in 1 2 3; do stop $n; done
