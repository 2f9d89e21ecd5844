#!/usr/bin/env bash
# A mesh of members through the command line: the charter shown and set, keys admitted and removed on two sides at once,
# operators made and taken back; every mistake has its status and says what to do next.
. "$(dirname "$0")/lib.bash"

# refused N STATUS PATTERN VERB...: the exit status, and a line of stderr that matches.
refused() {
    local n=$1 want=$2 pattern=$3 got
    shift 3
    on "$n" "$@" >"$work/try.out" 2>"$work/try.log" </dev/null
    got=$?
    [[ $got == "$want" ]] || fail "souk $*: status $got, not $want: $(cat "$work/try.log")"
    grep -qE -- "$pattern" "$work/try.log" || fail "souk $*: wanted \"$pattern\": $(cat "$work/try.log")"
}
key_of() { on "$1" key ls -o json | jq -r ".[] | select(.name == \"$2\") | .key"; }
charter() { on "$1" mesh charter show -o json | jq -r "$2"; }
standing() { on "$1" mesh ls -o json | jq -r ".[] | select(.key == \"$2\") | .standing"; }
stands() { [[ $(standing "$1" "$2") == "$3" ]]; }
put() { echo "{\"name\":\"$2\"}" | on "$1" put model - >"$work/put.out" 2>"$work/put.log"; }

say "an open mesh is made one of members"
start 1 --new-mesh ours
put 1 first || fail "put in an open mesh"
[[ $(charter 1 '.admission + " " + .name + " " + .keys[0].standing') == 'open ours open' ]] || fail "$(on 1 mesh charter show)"
on 1 mesh charter set admission=members 'about=models of our own' contact=ops@example.org || fail "charter set"
[[ $(charter 1 '.admission + "|" + .about + "|" + .contact') == 'members|models of our own|ops@example.org' ]] || fail "$(on 1 mesh charter show)"
on 1 mesh charter show | found '^admission   members: only admitted keys may write' || fail "$(on 1 mesh charter show)"
on 1 get model first >/dev/null || fail "this node's own entries vanished"
[[ $(standing 1 "$(key_of 1 publisher)") == member && $(standing 1 "$(field 1 id)") == member ]] || fail "own keys: $(on 1 mesh ls)"
on 1 mesh charter set contact= || fail "a field is taken away"
[[ $(charter 1 .contact) == '' ]] || fail "contact stays"

say "mistakes"
refused 1 2 'wants show, or set' mesh charter shw
refused 1 2 'wants KEY=VALUE after it' mesh charter set
refused 1 2 'did you mean "admission"' mesh charter set admision=open
refused 1 2 'there are admission, about and contact' mesh charter set x=1
refused 1 1 'admission' mesh charter set admission=closed
refused 1 2 'key of 64 hex digits, not "nobody"' mesh admit nobody
refused 1 4 'founded the mesh' mesh admit "$(key_of 1 founder)"
refused 1 4 'founded the mesh' mesh remove "$(key_of 1 founder)"
refused 1 5 'is not an operator of this mesh' mesh admit "$(field 1 id)" --as publisher
refused 1 5 'no author key named "nobody"' mesh admit "$(field 1 id)" --as nobody

say "who is not a member reads and does not write"
join 2
writer=$(key_of 2 publisher)
sees_first() { on 2 get model first >/dev/null 2>&1; }
await 20 "a node that is no member reads" sees_first
knows_charter() { [[ $(charter 2 .admission) == members ]]; }
await 20 "and knows that members alone write" knows_charter
refused 2 5 'not a member.*souk mesh admit' put model <(echo '{"name":"second"}')
refused 2 5 'holds no key of an operator' mesh admit "$writer"
refused 2 5 "only the mesh's founder" mesh charter set admission=open
on 1 mesh admit "$writer" || fail "admit"
await 20 "node 2 hears of it" stands 2 "$writer" member
put 2 second || fail "a member writes: $(cat "$work/put.log")"
await 20 "equal" same_state 1 2
on 1 get model second >/dev/null || fail "a member's entry is not on node 1"

say "operators, on two sides at once"
on 1 key new deputy >"$work/deputy" || fail "key new"
on 2 key new helper >"$work/helper" || fail "key new"
on 1 mesh admit "$(cat "$work/helper")" --role operator || fail "only the founder makes operators"
await 20 "node 2 holds an operator" stands 2 "$(cat "$work/helper")" operator
refused 1 4 'is an operator' mesh admit "$(cat "$work/helper")"
refused 2 5 "only the mesh's founder" mesh admit "$(field 2 id)" --role operator
on 1 peer ban "$(field 2 id)" && on 2 peer ban "$(field 1 id)" || fail "ban"
cut() { ! peers_up 1 1 && ! peers_up 2 1; }
await 20 "the link is cut" cut
a=$(printf 'a%.0s' {1..64})
b=$(printf 'b%.0s' {1..64})
on 1 mesh admit "$a" --role mirror || fail "admit on 1"
on 2 mesh admit "$b" || fail "admit on 2: the operator of node 2 signs"
on 2 mesh remove "$(cat "$work/deputy")" || fail "remove on 2 of a key that node 1 admits"
on 1 mesh admit "$(cat "$work/deputy")" || fail "admit on 1"
on 1 peer unban "$(field 2 id)" && on 2 peer unban "$(field 1 id)" && on 2 peer add "$(field 1 mesh)" || fail "unban"
await 20 "both sides are equal" same_state 1 2
for n in 1 2; do
    stands $n "$a" member && stands $n "$b" member || fail "two operators who admit at once both succeed: $(on $n mesh ls)"
done
[[ $(on 1 mesh ls -o json | jq -r ".[] | select(.key == \"$a\") | .role") == mirror ]] || fail "the role is kept"
[[ $(standing 1 "$(cat "$work/deputy")") == "$(standing 2 "$(cat "$work/deputy")")" ]] || fail "admitted on one side, removed on the other"

say "a member is removed"
on 1 mesh remove "$writer" || fail "remove"
gone() { ! on "$1" get model second >/dev/null 2>&1; }
await 20 "its entries are hidden" gone 2
refused 2 5 'was removed' put model <(echo '{"name":"third"}')
on 2 mesh admit "$writer" || fail "an operator admits it again"
back() { on 1 get model second >/dev/null 2>&1; }
await 20 "its entries are back" back

say "the connections of a removed node close"
on 1 mesh admit "$(field 2 id)" || fail "admit"
on 1 mesh remove "$(field 2 id)" || fail "remove of a node's key"
await 20 "the connection is closed" cut
told() { grep -q 'removed from the mesh.*an operator may admit it again' "$work/2.err"; }
await 20 "the removed node is told why" told
on 2 log net=debug && on 2 peer add "$(field 1 mesh)" || fail "peer add"
await 20 "it comes again and is sent away" grep -q 'handshake to .* ended: removed from the mesh' "$work/2.err"
! peers_up 1 1 || fail "a removed node is in session"
on 1 mesh admit "$(field 2 id)" || fail "admit again"
on 2 peer add "$(field 1 mesh)" || fail "peer add"
await 30 "connected again" peers_up 2 1
await 20 "equal" same_state 1 2

say "an operator is revoked, and its word is kept or dropped"
refused 1 4 'admitted or removed [0-9]+ keys' mesh remove "$(cat "$work/helper")"
on 1 mesh remove "$(cat "$work/helper")" --restate || fail "remove --restate"
await 20 "equal" same_state 1 2
stands 1 "$b" member && stands 1 "$writer" member || fail "what was restated stays: $(on 1 mesh ls)"
refused 2 5 'holds no key of an operator' mesh admit "$a"
on 1 mesh admit "$(cat "$work/helper")" --role operator || fail "made again"
await 20 "node 2 holds an operator" stands 2 "$(cat "$work/helper")" operator
c=$(printf 'c%.0s' {1..64})
on 2 mesh admit "$c" || fail "admit"
await 20 "equal" same_state 1 2
on 1 mesh remove "$(cat "$work/helper")" --drop || fail "remove --drop"
stands 1 "$c" '' || fail "what was dropped stays: $(on 1 mesh ls)"
await 20 "equal" same_state 1 2
stop 2
stop 1
on 1 verify >/dev/null || fail "verify"

say "a new mesh of members"
start 3 --new-mesh closed --admission members
put 3 mine || fail "the founder's node writes in its own mesh: $(cat "$work/put.log")"
[[ $(charter 3 .admission) == members ]] || fail "--admission members"
described() { [[ $(status 3 .entries.node) == 1 ]]; }
await 10 "its own entry is shown" described
stop 3
