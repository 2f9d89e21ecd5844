#!/usr/bin/env bash
# Invitations: all that a newcomer types is `souk run --join INVITATION`. Each works once, until it expires, for its own mesh, and
# as its inviter signed it; whatever is wrong is said on the newcomer's side, with the next step.
. "$(dirname "$0")/lib.bash"

# refused N STATUS PATTERN INVITATION: a start that must fail so.
refused() {
    local n=$1 want=$2 pattern=$3 got
    timeout 120 "$souk" --dir "$work/$n" run --http 127.0.0.1:0 --listen 127.0.0.1:0 --join "$4" >"$work/$n.out" 2>"$work/$n.err"
    got=$?
    [[ $got == "$want" ]] || fail "--join on $n: status $got, not $want: $(cat "$work/$n.err")"
    grep -qE -- "$pattern" "$work/$n.err" || fail "--join on $n: wanted \"$pattern\": $(cat "$work/$n.err")"
}
invite() { on "$1" mesh invite "${@:2}" 2>"$work/note" || fail "invite on $1: $(cat "$work/note")"; }
key_of() { on "$1" key ls -o json | jq -r ".[] | select(.name == \"$2\") | .key"; }
standing() { on "$1" mesh ls -o json | jq -r ".[] | select(.key == \"$2\") | .standing"; }
stands() { [[ $(standing "$1" "$2") == "$3" ]]; }
own() { [[ $(on "$1" mesh charter show -o json | jq -r '.node.standing + " " + .keys[0].standing') == "$2" ]]; }

start 1 --new-mesh ours --admission members
say "a newcomer types the invitation and nothing else"
one=$(invite 1 --role mirror)
[[ $one =~ ^soukinvite1_[A-Za-z0-9_-]+$ ]] || fail "an invitation is one word: $one"
grep -q 'for one newcomer, until 20' "$work/note" || fail "$(cat "$work/note")"
grep -q 'loopback only' "$work/note" || fail "an invitation that leads nowhere else is not told of"
start 2 --join "$one"
[[ $(field 2 mesh_id) == "$(field 1 mesh_id)" ]] || fail "another mesh"
await 20 "node 2 is a member with both keys" own 2 'member member'
echo '{"name":"from-2"}' | on 2 put model - >/dev/null || fail "a newcomer writes"
await 20 "equal" same_state 1 2
described() { [[ $(status 1 .entries.node) == 2 ]]; }
await 20 "its own entry is shown" described
[[ $(on 1 mesh ls -o json | jq -r ".[] | select(.key == \"$(field 2 id)\") | .role + \" \" + .with") == "mirror $(key_of 2 publisher)" ]] ||
    fail "role and the other key: $(on 1 mesh ls)"
[[ ! -e $work/2/invitation ]] || fail "the invitation stays in the directory"
grep -q "^peer = $(field 1 id)@" "$work/2/souk.conf" || fail "the inviter's address is not kept"

say "it starts again without it, and with it"
stop 2
start 2
await 20 "connected again" peers_up 2 1
stop 2
start 2 --join "$one"
await 20 "the same invitation again on the same node" own 2 'member member'

say "used"
refused 3 5 'used already.*ask for one of your own.*souk run --dir .* --join INVITATION' "$one"
[[ $(on 1 mesh ls -o json | jq length) == 5 ]] || fail "somebody else came in: $(on 1 mesh ls)"
start 3 --join "$(invite 1)"
await 20 "a new invitation on the directory of the one that was refused" own 3 'member member'

say "expired, on the newcomer's clock and on the inviter's"
short=$(invite 1 --expires 1s)
past() { [[ $(date +%s) -gt $1 ]]; }
await 10 "it expires" past $(($(date +%s) + 1))
refused 4 5 'the invitation expired at 20.*ask for another one' "$short"
[[ ! -e $work/4/mesh ]] || fail "a directory was made for an expired invitation"
"$souk" init --dir "$work/4" --mesh "$(field 1 mesh_id)" >/dev/null
refused 4 5 "expired at 20.*inviter's clock: ask for another one" "$short"
[[ $(on 1 mesh invite --expires 3x 2>&1; echo $?) == *'such as 30m'*2 ]] || fail "a span that is none"
[[ $(on 1 mesh invite --role operator 2>&1; echo $?) == *'brings in members'*1 ]] || fail "an invitation for an operator"
[[ $(on 2 mesh invite 2>&1; echo $?) == *'holds no key of an operator'*5 ]] || fail "a member cannot invite"

say "cut short, forged, of another mesh"
good=$(invite 1)
refused 5 2 'cut short or was changed' "${good:0:200}"
refused 5 2 'is not an invitation' hello
middle=40 # within the founder's key
flip=A
[[ ${good:$middle:1} != A ]] || flip=B
forged=${good:0:$middle}$flip${good:$((middle + 1))}
refused 5 5 'changed or forged on its way; ask for another one' "$forged"
[[ ! -e $work/5/mesh ]] || fail "a directory was made for a forged invitation"
start 6 --new-mesh theirs --admission members
other=$(invite 6)
stop 6
refused 2 4 'another souk node is running|belongs to mesh' "$other"
stop 3
refused 3 4 'belongs to mesh .*; give another mesh a directory of its own' "$other"
[[ $("$souk" run --dir "$work/5" --join "$good" --mesh "$(field 1 mesh_id)" 2>&1; echo $?) == *'names the mesh already'*2 ]] || fail "--join and --mesh"

say "an inviter who is no operator any more"
on 1 mesh admit "$(key_of 2 publisher)" --role operator || fail "operator"
await 20 "node 2 may invite" stands 2 "$(key_of 2 publisher)" operator
stale=$(invite 2)
on 1 mesh remove "$(key_of 2 publisher)" --drop || fail "remove"
await 20 "node 2 hears of it" stands 2 "$(key_of 2 publisher)" removed
refused 7 5 'inviter is not an operator of this mesh any more: ask another operator' "$stale"

say "two newcomers with one invitation"
race=$(invite 1)
: >"$work/8.out" && : >"$work/9.out"
for n in 8 9; do
    "$souk" --dir "$work/$n" run --http 127.0.0.1:0 --listen 127.0.0.1:0 --set "name=node-$n" --join "$race" >"$work/$n.out" 2>"$work/$n.err" &
    pid[$n]=$!
done
one_left() { [[ $(kill -0 "${pid[8]}" 2>/dev/null && echo 8; kill -0 "${pid[9]}" 2>/dev/null && echo 9) == [89] ]]; }
await 30 "one of them is refused" one_left
lost=8 won=9
kill -0 "${pid[8]}" 2>/dev/null && { lost=9 won=8; }
wait "${pid[$lost]}"
[[ $? == 5 ]] || fail "the one that is too late ends with another status"
unset "pid[$lost]"
grep -q 'used already' "$work/$lost.err" || fail "$(cat "$work/$lost.err")"
await 20 "the other one is a member" own $won 'member member'
for n in 1 2 $won; do stop "$n"; done

say "one inviter's key on two nodes that do not hear each other: the earlier newcomer stays"
export SOUK_PASSPHRASE='a passphrase'
start a --new-mesh shared --admission members
start b --join "$(invite a)"
await 20 "node b is a member" own b 'member member'
on a key new deputy >"$work/deputy" && on a key export deputy "$work/deputy.key" || fail "key"
on b key import "$work/deputy.key" >/dev/null || fail "import"
on a mesh admit "$(cat "$work/deputy")" --role operator || fail "operator"
await 20 "node b may admit" stands b "$(cat "$work/deputy")" operator
double=$(invite a --as deputy)
stop b
start c --join "$double"
await 20 "node c is a member by node a" own c 'member member'
stop c
stop a
start b
start d --join "$double" --peer "$(field b mesh)"
await 20 "node d is a member by node b" own d 'member member'
start a --peer "$(field b mesh)" # the port that it had may be somebody else's by now
start c --peer "$(field a mesh)"
later_is_out() { [[ $(standing "$1" "$(field d id)") == removed && $(standing "$1" "$(field c id)") == member ]]; }
for n in a b; do await 40 "on $n the earlier newcomer alone is left" later_is_out $n; done
await 20 "equal" same_state a b c

say "used on one node, and refused on another"
stop a
start e --join "$double" --peer "$(field b mesh)"
await 20 "node b refuses it" grep -q 'used already' "$work/e.err"
[[ -z $(standing b "$(field e id)") ]] || fail "it is $(standing b "$(field e id)") on b"
for n in b c d e; do stop $n; done
