#!/usr/bin/env bash
# The address book: a node that was told of one peer finds the others again without it, after a stop and after a kill; a
# ban and a score survive; a book that is damaged keeps no node from starting.
. "$(dirname "$0")/lib.bash"

peers_of() { on "$1" peer ls -o jsonl 2>/dev/null; }
has_peer() { [[ $(peers_of "$1" | jq -r --arg id "$2" 'select(.id == $id) | .state') == "$3" ]]; }
book_has() { grep -q "^$2 " "$work/$1/peers" 2>/dev/null; }

start 1
join 2
join 3
id1=$(field 1 id) id2=$(field 2 id) id3=$(field 3 id)
await 20 "nodes 2 and 3 found each other" has_peer 2 "$id3" up
await 20 "node 2 wrote them down" book_has 2 "$id3"
await 20 "both" book_has 2 "$id1"

say "stopped, and started without being told of anybody"
stop 2
[[ $(stat -c %a "$work/2/peers") == 600 ]] || fail "mode of the book"
start 2 --mesh "$(field 1 mesh_id)"
await 20 "node 2 is back among both" has_peer 2 "$id1" up
await 20 "node 2 is back among both" has_peer 2 "$id3" up

say "killed"
kill9 2
start 2 --mesh "$(field 1 mesh_id)"
await 20 "node 2 is back" has_peer 2 "$id1" up

say "a ban survives"
on 1 peer ban "$id3" || fail "ban"
await 20 "node 1 wrote the ban down" grep -q "^$id3 .* 18446744073709551615 " "$work/1/peers"
kill9 1
start 1 --mesh "$(field 2 mesh_id)"
await 20 "still banned" has_peer 1 "$id3" banned
on 1 peer unban "$id3" || fail "unban"

say "what is pinned stays pinned until it is removed"
pinned() { [[ $(peers_of "$1" | jq -r --arg a "$2" 'select(.address == $a) | .pinned') == true ]]; }
away=127.0.0.1:$(($(field 3 mesh | sed 's/.*://') == 9 ? 10 : 9)) # nobody answers there
on 2 peer add "$(field 3 mesh)" && on 2 peer add "$away" || fail "peer add"
await 20 "node 2 wrote its pins down" grep -q "^- $away .* pinned$" "$work/2/peers"
for how in stop kill9; do
    $how 2
    start 2 --mesh "$(field 1 mesh_id)"
    await 20 "still pinned after $how" pinned 2 "$(field 3 mesh)"
    pinned 2 "$away" || fail "a pin of a peer that never answered is lost after $how"
    pinned 2 "$(field 1 mesh)" && fail "a peer that was found is pinned"
done
on 2 peer rm "$away" && on 2 peer rm "$id3" || fail "peer rm"
no_pin() { ! grep -q pinned "$work/2/peers"; }
await 20 "what is removed is not pinned any more" no_pin

say "a damaged book"
stop 1
head -c 100 /dev/urandom >"$work/1/peers"
start 1 --mesh "$(field 2 mesh_id)" --peer "$(field 2 mesh)"
await 20 "node 1 is back" has_peer 1 "$id2" up
grep -q 'address book' "$work/1.err" || fail "nothing was said about the book"
for n in 1 2 3; do stop $n; done
echo ok
