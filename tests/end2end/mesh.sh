#!/usr/bin/env bash
# Three nodes, one catalogue: the first imports, the second is killed in the middle and comes back, the third
# joins late. Within 10 s of the import's end all three hold and show the same, byte for byte.
. "$(dirname "$0")/lib.bash"

start 1
join 2
await 10 "nodes 1 and 2 are connected" peers_up 2 1

say "import on node 1 while node 2 is killed"
if [[ -e $data/models-dev.json ]]; then
    want=5098
    on 1 import models.dev "$data/models-dev.json" >"$work/import.out" 2>"$work/import.log" &
else
    echo "no data folder: a made catalogue instead of models-dev.json"
    want=5000
    catalogue $want >"$work/made.jsonl"
    on 1 import jsonl "$work/made.jsonl" >"$work/import.out" 2>"$work/import.log" &
fi
import=$!
some_arrived() { [[ $(status 2 .entries.model) -gt 0 ]]; }
await 20 "node 2 has a part of it" some_arrived
kill9 2
say "node 2 was killed"
start 2 --mesh "$(field 1 mesh_id)" --peer "$(field 1 mesh)"
wait $import || fail "the import failed: $(tail -n 3 "$work/import.log")"
cat "$work/import.out"
join 3
if [[ -e $data/mcp-registry-seed-2025-05-16.json ]]; then
    on 1 import mcp-registry "$data/mcp-registry-seed-2025-05-16.json" >"$work/seed.out" 2>"$work/seed.log" || fail "the seed"
    cat "$work/seed.out"
    refused=$(sed -E 's/.* ([0-9]+) refused.*/\1/' "$work/seed.out")
    [[ $refused -gt 0 ]] || fail "rows of the seed break rules, none was refused"
    [[ $(sed -nE 's/^(row|line) ([0-9]+).*/\2/p' "$work/seed.log" | sort -u | wc -l) -ge $refused ]] ||
        fail "not every refused row was reported with its place"
fi
await 10 "all three are equal" same_state 1 2 3
all_nodes() { [[ $(status 1 .entries.node) == 3 && $(status 3 .entries.node) == 3 ]]; }
await 20 "every node has an entry of its own" all_nodes
await 10 "all three are equal again" same_state 1 2 3
[[ $(status 3 .entries.model) == "$want" ]] || fail "node 3 shows $(status 3 .entries.model) models, not $want"

say "the same bytes from each node"
on 1 ls model --limit 400 -o jsonl | jq -r .meta.id >"$work/ids"
on 1 ls server --limit 100 -o jsonl | jq -r .meta.id | sed 's/^/servers\//' >"$work/server-ids"
{ sed 's/^/models\//' "$work/ids"; cat "$work/server-ids"; } | shuf -n 300 --random-source=<(yes) >"$work/paths"
for n in 1 2 3; do
    sed "s|^|url = \"http://souk/|; s|\$|\"|" "$work/paths" |
        curl -sS --unix-socket "$work/$n/admin.sock" -K - -w '\n' | sed -E 's/"served_by":"[0-9a-f]+"/"served_by":""/' >"$work/$n.got"
done
[[ $(wc -l <"$work/1.got") == "$(wc -l <"$work/paths")" ]] || fail "wanted one answer a path"
! grep -q '"status":404' "$work/1.got" || fail "an entry is missing"
cmp "$work/1.got" "$work/2.got" || fail "nodes 1 and 2 answer differently"
cmp "$work/1.got" "$work/3.got" || fail "nodes 1 and 3 answer differently"

say "every signature again, on the node that was killed"
on 2 verify || fail "verify on node 2"
for n in 1 2 3; do stop $n; done
on 3 verify || fail "verify of the stopped node 3"
