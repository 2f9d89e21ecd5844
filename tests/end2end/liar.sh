#!/usr/bin/env bash
# A node that serves and lies: about the output, in its receipt, by leaving it out. The node that asked passes nothing of it on,
# says why, tries nothing again and turns to others first for a while. A question of such a node goes no further than one hop.
. "$(dirname "$0")/lib.bash"

export LIAR_FILE=$work/lie
start 1
souk=$build/tests/liar join 2
LIAR_FILE=$work/lie3 souk=$build/tests/liar join 3
await 30 "all are connected" peers_up 1 2
echo '{"name":"echo"}' | on 1 put model - >/dev/null || fail "put"
known() { on "$1" get model echo >/dev/null 2>&1; }
serve() { # NODE
    await 30 "the entry is on node $1" known "$1"
    on "$1" deploy echo --share --allow-weak -- cat >/dev/null 2>"$work/deploy.err" || {
        grep -qE 'missing|namespace|sandbox|permitted' "$work/deploy.err" || fail "deploy: $(cat "$work/deploy.err")"
        echo "this machine runs no sandbox: $(cat "$work/deploy.err")"
        exit 77
    }
}
serve 2
token=$(on 1 token new --scope invoke)
liar=$(field 2 id)
invoke() { # CURL-OPTION...: prints the status; the answer is in $work/reply
    curl -sS -m 60 -H "Authorization: Bearer $token" -d '"true"' -o "$work/reply" -w '%{http_code}' "$@" "http://$(field 1 http)/models/echo/invoke${query:-}"
}
started() { on "$1" deploy ls -o json | jq '.[0].started'; }
receipts() { on 1 receipt ls -o json | jq length; }
honest() { [[ $(invoke) == 200 ]]; }
await 30 "node 1 has heard of it" honest
kept() { [[ $(receipts) == 1 ]]; }
await 30 "its receipt is kept" kept

say "each lie is seen, named, and not passed on"
while IFS=: read -r lie code why; do
    echo "$lie" >"$LIAR_FILE"
    before=$(started 2)
    status=$(invoke)
    rm "$LIAR_FILE"
    [[ "$status $(jq -r .code "$work/reply")" == "502 $code" ]] || fail "$lie: $status $(cat "$work/reply")"
    detail=$(jq -r .detail "$work/reply")
    [[ $detail == *"$why"* && $detail == *"${liar:0:12}"* ]] || fail "$lie: $detail"
    [[ $(jq 'has("receipt") or has("output")' "$work/reply") == false ]] || fail "$lie: something of it is passed on"
    [[ $(started 2) == $((before + 1)) ]] || fail "$lie: it was run $(($(started 2) - before)) times"
done <<'LIES'
entry:bad_receipt:another entry
kind:bad_receipt:another entry
input:bad_receipt:another input
output digest:bad_receipt:another output
output:bad_receipt:another output
caller:bad_receipt:another caller
token:bad_receipt:another caller
result:bad_receipt:another result
status:bad_receipt:another result
signer:bad_receipt:signed by another node
forged:bad_receipt:
missing:bad_receipt:
garbage:bad_receipt:
no such status:bad_answer:not understood
cut:bad_answer:not understood
LIES
[[ $(invoke) == 200 ]] || fail "the truth is not passed on any more: $(cat "$work/reply")"
kept() { [[ $(receipts) == 2 ]]; }
await 30 "only true receipts are kept" kept

say "under a key it is not run again, whatever it says of having started"
for lie in output "not started"; do
    echo "$lie" >"$LIAR_FILE"
    before=$(started 2)
    first=$(invoke -H "Idempotency-Key: $lie")
    [[ $first == "$(invoke -H "Idempotency-Key: $lie")" && $(started 2) == $((before + 1)) ]] || fail "$lie: it ran again"
    rm "$LIAR_FILE"
done

say "others are asked first, but not for the same invoke"
serve 3
both() { [[ $(on 1 ls node -o json | jq '[.[] | select(.node.deployments | length > 0)] | length') == 2 ]]; }
await 30 "node 1 has heard of both" both
[[ $(query="?on=$(field 3 id)" invoke) == 200 ]] || fail "--on node 3: $(cat "$work/reply")" # its table is of now
# However near each of them is: node 3 lies once, so that it is node 2's turn, and then tells the truth and is trusted again.
echo output >"$work/lie3"
[[ $(query="?on=$(field 3 id)" invoke) == 502 ]] || fail "node 3 does not lie: $(cat "$work/reply")"
rm "$work/lie3"
echo output >"$LIAR_FILE"
ran=$(started 3)
[[ $(invoke) == 502 && $(jq -r .detail "$work/reply") == *"${liar:0:12}"* ]] || fail "not the liar's turn: $(cat "$work/reply")"
[[ $(started 3) == "$ran" ]] || fail "an invoke that was lied about was given to another node as well"
[[ $(query="?on=$(field 3 id)" invoke) == 200 ]] || fail "--on node 3: $(cat "$work/reply")"
[[ $(invoke) == 200 ]] || fail "the liar is asked again: $(cat "$work/reply")"
[[ $(jq -r .receipt.issuer.name "$work/reply") == node-3 ]] || fail "not node 3"

say "a question for what is not served here any more is refused and not passed on"
serve 1
on 1 deploy rm echo || fail "deploy rm on 1"
on 2 deploy rm echo || fail "deploy rm on 2"
gone() { [[ $(on 1 ls node -o json | jq '[.[] | select(.node.deployments | length > 0)] | length') == 1 ]]; }
await 30 "only node 3 serves it" gone
[[ $(invoke) == 200 && $(jq -r .receipt.issuer.name "$work/reply") == node-3 ]] || fail "node 1 does not know of node 3: $(cat "$work/reply")"
routed() { curl -sS "http://$(field 1 http)/metrics" | sed -nE 's/^souk_invokes_routed_total //p'; }
ran=$(started 3) asked=$(routed)
[[ $asked -gt 0 ]] || fail "node 1 counts no routed invokes"
echo 'asks anyone' >"$LIAR_FILE"
on 2 invoke echo -d 1 --on "$(field 1 id | cut -c1-12)" >"$work/out" 2>"$work/err"
[[ $? == 3 ]] || fail "not refused: $(cat "$work/out" "$work/err")"
grep -q 'not deployed here for other nodes' "$work/err" || fail "not by node 1: $(cat "$work/err")"
[[ $(started 3) == "$ran" && $(routed) == "$asked" ]] || fail "node 1 passed it on"
rm "$LIAR_FILE"

say "a call that took too long is a timeout, and not tried again"
on 3 deploy rm echo || fail "deploy rm on 3"
on 1 deploy echo --share --allow-weak --timeout 300 -- sleep 300 >/dev/null || fail "deploy on 1"
serving_are() { # NAME...
    [[ $(on 2 ls node -o json | jq -r '[.[].node | select(.deployments | length > 0) | .name] | sort | join(" ")') == "$*" ]]
}
await 30 "node 2 knows that only node 1 serves" serving_are node-1
http 2 POST /models/echo/invoke -d 1 -o "$work/problem" 2>/dev/null &
client=$!
runs() { [[ $(on 1 deploy ls -o json | jq '.[0].running') == 1 ]]; }
await 30 "it runs on node 1" runs
serve 3
await 30 "node 2 knows of both" serving_are node-1 node-3
echo late >"$LIAR_FILE"
kill9 1
wait $client
[[ $(jq -r '.code + " " + (.status | tostring)' "$work/problem") == "timeout 504" ]] || fail "a call that took too long: $(cat "$work/problem")"
[[ $(started 3) == 0 ]] || fail "it was run again on node 3"
