#!/usr/bin/env bash
# A mesh on six machines: five with addresses of their own on a bridge, one behind NAT that can only dial. Links are cut and
# healed one by one and in halves, a node is killed, a machine changes its address; there are writes on both sides of each
# cut, and after each all hold and show the same.
. "$(dirname "$0")/netns.bash"
public=(a b c d e)
all=(a b c d e f)
for i in 0 1 2 3 4; do host "${public[$i]}" $((i + 1)); done
host r 9
behind r f

put() { # HOST NAME
    echo "{\"name\":\"$2\",\"description\":\"written on $1\"}" | on "$1" put model - >/dev/null || fail "put $2 on $1"
}
has() { on "$1" get model "$2" >/dev/null 2>&1; }
up_with() { # HOST OTHER: a session between them is up, as HOST sees it
    status "$1" ".peers[] | select(.id == \"$(field "$2" id)\") | .state" | found -x up
}
down_with() { ! up_with "$1" "$2"; }
each_sees() { # N: every node has at least N peers
    local n
    for n in "${all[@]}"; do peers_up "$n" "$1" || return 1; done
}
same() { await 60 "equal after: $1" same_state "${all[@]}"; }

say "six nodes"
node a
seed="$(field a mesh_id)"
for n in b c d e f; do node "$n" --mesh "$seed" --peer 10.77.0.1:7071; done
await 60 "the five make a full mesh, and the one behind NAT dials them all" each_sees 5
put a first
same "the start"
for n in "${public[@]}"; do
    [[ $(status "$n" ".peers[] | select(.id == \"$(field f id)\") | .outbound") == false ]] || fail "$n dialed into NAT"
done
at a timeout 2 bash -c 'exec 3<>/dev/tcp/10.77.0.9/7071' 2>/dev/null && fail "the node behind NAT can be dialed"
at f "$souk" --dir "$work/f" doctor -o json >"$work/doctor" 2>&1 || fail "NAT is no fault: $(cat "$work/doctor")"
jq -e 'any(.[]; .check == "blocked port" and .result == "note" and (.detail | test("no node has connected to this one")) and .next != "")' \
    "$work/doctor" >/dev/null || fail "doctor behind NAT: $(cat "$work/doctor")"
at a "$souk" --dir "$work/a" doctor -o json >"$work/doctor" 2>&1 || fail "NAT is no fault: $(cat "$work/doctor")"
jq -e --arg f "$(field f id | cut -c1-12)" 'any(.[]; .check == "blocked port" and .result == "note" and .next != ""
    and (.detail | test($f + " \\(10.77.0.9:7071\\) is connected because it dialed")))' "$work/doctor" >/dev/null ||
    fail "doctor on a does not say that f cannot be dialed: $(cat "$work/doctor")"

say "every machine in turn: its link cut and healed"
for n in b c d e r; do
    other=a node=$n
    [[ $n != r ]] || node=f
    unplug "$n"
    put "$node" "alone-$node"
    put "$other" "others-$node"
    has "$other" "alone-$node" && fail "the cut of $n leaks"
    plug "$n"
    same "the link of $n"
done

say "one link between two of them: the others go around it"
drop a 'ip saddr 10.77.0.2'
at b nft -f - <<<'table inet cut { chain in { type filter hook input priority 0; ip saddr 10.77.0.1 drop; }; }'
put a around-a
put b around-b
same "writes on both ends of a link that is still cut"
undrop a
undrop b
same "that link is healed"

say "two halves"
for n in d e r; do move $n br1; done
await 30 "a has lost d, e and f" eval 'down_with a d && down_with a e && down_with a f'
await 30 "d has lost a, b and c" eval 'down_with d a && down_with d b && down_with d c'
put a half-a
put c half-c
put e half-e
put f half-f
await 40 "each half goes on by itself" eval 'same_state a b c && same_state d e f'
has a half-e && fail "the cut leaks"
has f half-a && fail "the cut leaks"
at a "$souk" --dir "$work/a" doctor -o json >"$work/doctor" 2>&1
jq -e '.[] | select(.check == "partition") | (.detail | test("3 of 5 known nodes out of reach")) and .next != ""' "$work/doctor" >/dev/null ||
    fail "doctor does not explain the halves: $(cat "$work/doctor")"
for n in d e r; do move $n br0; done
same "the halves"

say "a node is killed while others write"
catalogue 1500 | on b import jsonl - >"$work/import" 2>&1 &
import=$!
some_arrived() { [[ $(status c .entries.model) -gt 100 ]]; }
await 30 "a part of it is on c" some_arrived
kill9 c
put b while-killed
node c --mesh "$seed" --peer 10.77.0.1:7071
put c after-killed
wait $import || fail "the import: $(cat "$work/import")"
same "kill -9"
[[ $(status c .entries.model) -ge 1500 ]] || fail "c lacks rows of the import"
await 60 "all are connected" each_sees 5

say "two machines change their addresses, one of them the one that all the others were given"
for i in 1 4; do
    n=${public[$((i - 1))]}
    at $n ip addr del 10.77.0.$i/24 dev eth0
    at $n ip addr add 10.77.0.1$i/24 dev eth0
    put $n moved-$n
done
put e moved-e
same "the change of addresses"
new_address() { [[ $(status e ".peers[] | select(.id == \"$(field d id)\") | .address") == 10.77.0.14:7071 ]]; }
await 60 "e knows the new address of d" new_address
new_entries() {
    for i in 1 4; do
        on b get node "node-${public[$((i - 1))]}" -o json | jq -e ".node.mesh_addresses == [\"10.77.0.1$i:7071\"]" >/dev/null || return 1
    done
}
await 60 "so does the catalogue" new_entries
same "the new entries"

for n in "${all[@]}"; do
    for name in first others-b alone-f around-a around-b half-c half-f while-killed after-killed moved-a moved-d moved-e; do
        has "$n" $name || fail "$name is not on $n"
    done
done
for n in "${all[@]}"; do stop "$n"; done
on f verify >/dev/null || fail "verify on f"
