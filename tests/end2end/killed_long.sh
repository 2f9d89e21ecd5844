#!/usr/bin/env bash
# kill -9 at random moments while importing and writing, 50 times. Every acknowledged write is there
# and verify holds; at the end a fresh node that copies everything has the same digest.
. "$(dirname "$0")/lib.bash"
rounds=${SOUK_ROUNDS:-50}
: >"$work/acknowledged"

writer() { # ROUND: single writes, each noted down only after its 201
    local i
    for ((i = 0; ; i++)); do
        [[ $(code 1 POST /models -d "{\"name\":\"single-$1-$i\"}" 2>/dev/null) == 201 ]] || return 0
        echo "single-$1-$i" >>"$work/acknowledged"
    done
}

for ((round = 1; round <= rounds; round++)); do
    start 1
    writer "$round" &
    writer=$!
    catalogue 2000 | sed "s|made/|round-$round/|" | on 1 import jsonl - >/dev/null 2>&1 &
    import=$!
    sleep "0.$((RANDOM % 9))$((RANDOM % 9))"
    kill9 1
    wait $writer $import 2>/dev/null
    # All of it again takes longer each time: every fifth time, and at the end.
    ((round % 5 == 0)) || continue
    on 1 verify >"$work/verify" 2>&1 || fail "verify after kill $round: $(cat "$work/verify")"
done

start 1
on 1 ls model --all -o jsonl | jq -r .meta.name | sort >"$work/there"
sort "$work/acknowledged" >"$work/sorted"
lost=$(comm -23 "$work/sorted" "$work/there" | wc -l)
[[ $lost == 0 ]] || fail "$lost acknowledged writes are lost"
say "$(wc -l <"$work/sorted") acknowledged single writes and $(grep -c '^round' "$work/there") imported entries after $rounds kills"
join 2
await 30 "a fresh node has the same digest" same_state 1 2
stop 2
stop 1
on 1 verify || fail "verify at the end"
