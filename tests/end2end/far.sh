#!/usr/bin/env bash
# More nodes than a full mesh has: an invoke at a node that has no session with the one that serves makes one, asks over it,
# and says so where that node cannot be reached.
. "$(dirname "$0")/lib.bash"

count=15
start 1
for n in $(seq 2 $count); do join "$n"; done
linked() { # A B: are they in session?
    [[ $(on "$1" peer ls -o json | jq -r --arg id "$(field "$2" id)" '.[] | select(.id == $id) | .state') == up ]]
}
# Two that are not in session and are not the one that all were told of.
find_far() {
    local a b
    for a in $(seq $count -1 2); do
        for b in $(seq 2 $count); do
            [[ $a == "$b" ]] || linked "$a" "$b" || { asking=$a serving=$b && return 0; }
        done
    done
    return 1
}

say "without a session"
echo '{"name":"echo"}' | on 1 put model - >/dev/null || fail "put"
await 60 "two nodes are not in session" find_far
known() { on "$1" get model echo >/dev/null 2>&1; }
await 30 "the entry is on node $serving" known "$serving"
on "$serving" deploy echo --share --allow-weak -- cat >"$work/deploy.out" 2>"$work/deploy.err" || {
    grep -qE 'missing|namespace|sandbox|permitted' "$work/deploy.err" || fail "deploy: $(cat "$work/deploy.err")"
    echo "this machine runs no sandbox: $(cat "$work/deploy.err")"
    exit 77
}
heard() { [[ $(on "$asking" get node "node-$serving" -o json | jq '.node.deployments | length') == 1 ]]; }
await 30 "node $asking has heard of it" heard
find_asking() { # links come and go: one that is not in session with it now
    local a
    for a in $(seq $count -1 2); do
        [[ $a == "$serving" ]] || linked "$a" "$serving" || { asking=$a && return 0; }
    done
    return 1
}
await 60 "a node has no session with it" find_asking
await 30 "node $asking has heard of it" heard
[[ $(on "$asking" invoke echo -d '"far"' --receipt "$work/r") == far ]] || fail "node $asking cannot invoke on node $serving"
"$souk" receipt verify "$work/r" | found "$(field "$serving" id)" || fail "the receipt is not node $serving's"
linked "$asking" "$serving" || fail "the link is not kept for the next call"
[[ $(on "$asking" invoke echo -d '"near"') == near ]] || fail "the second invoke"

say "it is not there any more"
kill9 "$serving"
for n in $asking 1; do
    begin=$(date +%s%N)
    code=$(http "$n" POST /models/echo/invoke -H 'Content-Type: application/json' -d 1 -o "$work/problem" -w '%{http_code}')
    [[ $code == 503 && $(jq -r .code "$work/problem") == unreachable ]] || fail "node $n says $code $(cat "$work/problem")"
    [[ $(($(date +%s%N) - begin)) -lt 20000000000 ]] || fail "node $n took over 20 s to say so"
done
on 1 invoke echo -d 1 2>"$work/err"
[[ $? == 1 ]] || fail "the exit status of unreachable: $(cat "$work/err")"
