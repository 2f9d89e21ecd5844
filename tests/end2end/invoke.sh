#!/usr/bin/env bash
# Programs deployed on one node, invoked there and from others: outputs, failures, receipts, keys, streams, who may, what a
# changed file, a dead node and a restart do.
. "$(dirname "$0")/lib.bash"

start 1
join 2
join 3
await 20 "all are connected" peers_up 1 2
echo '{"name":"echo"}' | on 1 put model - >"$work/id" || fail "put"
echo '{"name":"helper"}' | on 1 put agent - >/dev/null || fail "put"
id=$(cat "$work/id")
deploy() { # NODE NAME OPTION... -- COMMAND...
    local n=$1 name=$2
    shift 2
    on "$n" deploy "$name" --allow-weak "$@" >"$work/deploy.out" 2>"$work/deploy.err"
}
deploy 1 echo -- cat || {
    grep -qE 'missing|namespace|sandbox|permitted' "$work/deploy.err" || fail "deploy: $(cat "$work/deploy.err")"
    echo "this machine runs no sandbox: $(cat "$work/deploy.err")"
    exit 77
}
http1=$(field 1 http)
http2=$(field 2 http)
token=$(on 1 token new --scope invoke)
writer=$(on 1 token new --scope write)
post() { # HOST TOKEN PATH CURL-OPTION...
    local host=$1 token=$2 path=$3
    shift 3
    curl -sS -m 60 -H "Authorization: Bearer $token" "$@" "http://$host$path"
}

say "output and receipt"
[[ $(on 1 invoke echo -d '{"a": 1.50}' --receipt "$work/r") == '{"a":1.5}' ]] || fail "the output"
grep -q 'layers: .*user' "$work/deploy.out" || fail "deploy does not say which layers are active"
"$souk" receipt verify "$work/r" >/dev/null || fail "the receipt does not verify"
sed 's/"result":"ok"/"result":"no"/' "$work/r" >"$work/forged"
cmp -s "$work/r" "$work/forged" && fail "nothing was forged"
"$souk" receipt verify "$work/forged" 2>/dev/null
[[ $? == 6 ]] || fail "a forged receipt is not exit status 6"
post "$http1" "$token" /models/echo/invoke -d '[1, 2.50]' >"$work/reply"
[[ $(jq -c .output "$work/reply") == '[1,2.50]' || $(jq -c .output "$work/reply") == '[1,2.5]' ]] || fail "HTTP output"
"$souk" receipt verify "$work/reply" >/dev/null || fail "the receipt inside a reply"
sum=$(printf '[1, 2.50]' | openssl dgst -sha256 -binary | base64)
[[ $(jq -r .receipt.credentialSubject.inputDigest "$work/reply") == "sha256-$sum" ]] || fail "inputDigest"
[[ $(jq -r .receipt.credentialSubject.outputDigest "$work/reply") == "sha256-$sum" ]] || fail "outputDigest"
[[ $(jq -r .receipt.credentialSubject.work.entry "$work/reply") == "$id" ]] || fail "entry"
op=$(on 1 history model "$id" -o json | jq -r '.[0].op')
[[ $(jq -r .receipt.credentialSubject.work.revision "$work/reply") == "$op" ]] || fail "revision is not the newest op"
post "$http1" "$token" /models/echo/invoke -H 'Accept: application/octet-stream' -D "$work/head" -d '[1, 2.50]' |
    cmp - <(printf '[1, 2.50]') || fail "raw bytes"
rid=$(sed -nE 's/^X-Receipt-Id: ([^\r]*).*/\1/Ip' "$work/head")
kept() { on 1 receipt show "$rid" >"$work/shown" 2>/dev/null; }
await 10 "the receipt is kept" kept
"$souk" receipt verify "$work/shown" >/dev/null || fail "the receipt that was kept"
[[ $(on 1 receipt ls -o json | jq -r '.[0].id') == "urn:uuid:$rid" ]] || fail "receipt ls has the newest first"
[[ $(curl -s "http://$http1/receipts?limit=1" | jq -r '.receipts[0].id') == "urn:uuid:$rid" ]] || fail "GET /receipts"

say "who may"
[[ $(post "$http1" "$writer" /models/echo/invoke -d 1 | jq -r .code) == wrong_scope ]] || fail "a write token invokes"
[[ $(curl -s -o /dev/null -w '%{http_code}' -d 1 "http://$http1/models/echo/invoke") == 401 ]] || fail "no token"
[[ $(post "$http1" "$token" /agents/helper/invoke -d 1 | jq -r .code) == not_deployed ]] || fail "not deployed"
on 1 invoke helper -d 1 2>/dev/null
[[ $? == 3 ]] || fail "not deployed is not exit status 3"
on 1 invoke nothing -d 1 2>/dev/null
[[ $? == 3 ]] || fail "an unknown name is not exit status 3"

say "ways to fail"
fails() { # CODE STATUS COMMAND...
    local want=$1 status=$2 got
    shift 2
    deploy 1 helper --timeout "${wall:-30}" -- "$@" || fail "deploy $*: $(cat "$work/deploy.err")"
    got=$(post "$http1" "$token" /agents/helper/invoke -d 1 -o "$work/problem" -w '%{http_code}')
    [[ "$got $(jq -r .code "$work/problem")" == "$status $want" ]] || fail "$* gave $got $(cat "$work/problem")"
    "$souk" receipt verify "$work/problem" >/dev/null || fail "$want has no receipt that verifies"
    [[ $(jq -r .receipt.credentialSubject.work.result "$work/problem") == "$want" ]] || fail "the receipt's result"
}
fails exit 502 sh -c 'echo no >&2; exit 3'
jq -r .detail "$work/problem" | found '(3).*no' || fail "detail: $(jq -r .detail "$work/problem")"
fails signal 502 sh -c 'kill -SEGV $$'
fails bad_output 502 echo '{'
fails output_limit 502 yes
wall=1 fails timeout 504 sleep 30
deploy 1 helper -- sleep 30
post "$http1" "$token" /agents/helper/invoke -H 'X-Timeout: 0.3' -d 1 -o "$work/problem" -w '%{http_code}\n' | found 504 || fail "X-Timeout"
on 1 invoke helper -d 1 --timeout 0.3 2>/dev/null
[[ $? == 8 ]] || fail "a timeout is not exit status 8"
[[ $(post "$http1" "$token" /models/echo/invoke -d 'no json' | jq -r .code) == bad_input ]] || fail "input that is no JSON"
deploy 1 helper --output text -- cat /etc/passwd && on 1 invoke helper -d 1 2>/dev/null && fail "/etc/passwd is there"

say "a client that goes away ends the run"
deploy 1 helper --timeout 300 -- sleep 300
runs() { [[ $(on 1 deploy ls -o json | jq -r --arg name "$1" '.[] | select(.name == $name) | .running') == "$2" ]]; }
curl -sS -H "Authorization: Bearer $token" -d 1 "http://$http1/agents/helper/invoke" -o /dev/null 2>/dev/null &
client=$!
await 30 "it runs" runs helper 1
kill -KILL $client
cancelled() { [[ $(on 1 receipt ls --limit 1 -o json | jq -r '.[0].credentialSubject.work.result') == cancelled ]]; }
await 30 "it is cancelled" cancelled
await 10 "it does not run any more" runs helper 0

say "idempotency keys"
deploy 1 helper --output text -- sh -c 'date +%s%N'
keyed() { post "$http1" "$token" /agents/helper/invoke -H "Idempotency-Key: $1" -d "$2"; }
[[ $(keyed a 1) == "$(keyed a 1)" ]] || fail "a repeated key runs again"
[[ $(keyed a 1 | jq -r .output) != "$(keyed b 1 | jq -r .output)" ]] || fail "another key does not run"
[[ $(keyed a 2 | jq -r .code) == key_reused ]] || fail "a key for another request"
on 1 history model "$id" >/dev/null

say "one token has so many at a time"
reread 1 # nothing changed: settings stay
deploy 1 helper --timeout 300 -- sleep 300
for _ in $(seq 17); do
    post "$http1" "$token" /agents/helper/invoke -d 1 -o /dev/null -w '%{http_code}\n' >>"$work/codes" 2>/dev/null &
    clients+=($!)
done
refused() { grep -q '^429$' "$work/codes"; }
await 10 "the seventeenth is refused" refused
[[ $(grep -c 429 "$work/codes") == 1 ]] || fail "$(grep -c 429 "$work/codes") were refused"
on 1 deploy rm helper || fail "deploy rm"
ended() { [[ $(wc -l <"$work/codes") == 17 ]]; }
await 10 "removing the deployment ends its runs" ended
wait "${clients[@]}"

say "events"
chmod 711 "$work" # as root programs run under another id
mkdir -m 755 "$work/gate"
gated=(--output text --timeout 300 --mount "$work/gate:/gate" -- sh -c 'echo one; until [ -e /gate/open ]; do sleep 0.05; done; echo two')
first_came() { grep -A1 '^event: output' "$work/events" | found '{"text":"one\\n"}'; }
pieces() { # HOST TOKEN: the program says "two" once "one" has come
    rm -f "$work/gate/open"
    post "$1" "$2" /models/echo/invoke -N -H 'Accept: text/event-stream' -d 1 >"$work/events" &
    client=$!
    await 30 "the first piece comes while the program runs" first_came
    touch "$work/gate/open"
    wait $client || fail "the stream: $(cat "$work/events")"
}
deploy 1 echo "${gated[@]}" || fail "deploy: $(cat "$work/deploy.err")"
pieces "$http1" "$token"
grep -A1 '^event: result' "$work/events" | tail -1 | sed 's/^data: //' | jq -r .output | cmp - <(printf 'one\ntwo\n\n') || fail "the result"

say "a file that changed"
cp /bin/cat "$work/tool"
was=$(b2sum -l 256 "$work/tool" | cut -d' ' -f1)
deploy 1 echo -- "$work/tool" || fail "deploy of a copy"
[[ $(on 1 invoke echo -d 1) == 1 ]] || fail "the copy runs"
touch "$work/tool"
[[ $(on 1 invoke echo -d 1) == 1 ]] || fail "a file that was only touched is refused"
cp /bin/true "$work/tool.new" && mv "$work/tool.new" "$work/tool"
is=$(b2sum -l 256 "$work/tool" | cut -d' ' -f1)
post "$http1" "$token" /models/echo/invoke -d 1 -o "$work/problem" -w '%{http_code}' | found 503 || fail "not 503: $(cat "$work/problem")"
[[ $(jq -r .code "$work/problem") == setup ]] || fail "not setup"
jq -r .detail "$work/problem" | found "$was.*$is\|$is.*$was" || fail "both hashes: $(jq -r .detail "$work/problem")"
[[ $(jq -r .receipt.credentialSubject.work.status "$work/problem") == refused ]] || fail "its receipt"

cp /bin/sh "$work/sh" && printf '#!%s\ncat\n' "$work/sh" >"$work/own" && chmod +x "$work/own"
for changed in sh own; do
    deploy 1 echo -- "$work/own" || fail "deploy of a script with an interpreter of its own: $(cat "$work/deploy.err")"
    [[ $(on 1 invoke echo -d 1) == 1 ]] || fail "the script runs"
    was=$(b2sum -l 256 "$work/$changed" | cut -d' ' -f1)
    cp "$work/$changed" "$work/$changed.new" && echo '# changed' >>"$work/$changed.new" && mv "$work/$changed.new" "$work/$changed"
    is=$(b2sum -l 256 "$work/$changed" | cut -d' ' -f1)
    post "$http1" "$token" /models/echo/invoke -d 1 -o "$work/problem"
    [[ $(jq -r .code "$work/problem") == setup ]] || fail "a changed $changed runs: $(cat "$work/problem")"
    jq -r .detail "$work/problem" | found "$was.*$is" || fail "both hashes of $changed: $(jq -r .detail "$work/problem")"
done

if [[ $(id -u) == 0 ]]; then
    cp /bin/cat "$work/private" && chmod 700 "$work/private"
    deploy 1 echo -- "$work/private" && fail "a program that its own id may not execute was deployed"
    grep -q 'chmod o+rx' "$work/deploy.err" || fail "what to do: $(cat "$work/deploy.err")"
fi

say "from another node"
printf '#!/bin/sh\n# a script\nexec cat\n' >"$work/script" && chmod +x "$work/script"
deploy 1 echo -- "$work/script" || fail "deploy of a script: $(cat "$work/deploy.err")"
on 2 invoke echo -d 1 2>"$work/err" && fail "a deployment that is not shared was routed to"
deploy 1 echo --share -- "$work/script"
served() { on "$1" invoke echo -d '"far"' --receipt "$work/r" >"$work/out" 2>"$work/err"; }
await 10 "node 2 has heard of it" served 2
[[ $(cat "$work/out") == far ]] || fail "the output from afar: $(cat "$work/out")"
"$souk" receipt verify "$work/r" | found "$(field 1 id)" || fail "the receipt is not node 1's"
received() { [[ $(on 2 receipt ls -o json | jq -r '.[0].id') == "$(jq -r .id "$work/r")" ]]; }
await 10 "node 2 keeps the receipt that it got" received
token2=$(on 2 token new --scope invoke)
[[ $(post "$http2" "$token2" /models/echo/invoke -d '{"a":1}' | jq -c .output) == '{"a":1}' ]] || fail "HTTP on node 2"
[[ $(jq -r .credentialSubject.caller.node "$work/r") != "$(jq -r .issuer.id "$work/r")" ]] || fail "the caller's node"
deploy 1 echo --share --timeout 1 -- sleep 30
on 2 invoke echo -d 1 2>/dev/null
[[ $? == 8 ]] || fail "a timeout from afar"
deploy 1 echo --share --timeout 300 -- sleep 300
"$souk" --dir "$work/2" invoke echo -d 1 2>/dev/null &
client=$!
await 30 "it runs over there" runs echo 1
kill -KILL $client
await 30 "it is cancelled over there" cancelled
await 10 "it does not run any more over there" runs echo 0
http 2 POST /models/echo/invoke -H 'X-Timeout: 0.5' -d 1 -o "$work/problem" -w '%{http_code}' | found 504 || fail "X-Timeout from afar: $(cat "$work/problem")"
[[ $(jq -r .receipt.credentialSubject.work.result "$work/problem") == timeout ]] || fail "the serving node does not know of X-Timeout"
await 10 "it does not run on over there after X-Timeout" runs echo 0

say "one node has so many at a time"
echo 'limits.invokes_peer = 2' >>"$work/1/souk.conf"
reread 1
clients=()
for _ in 1 2; do "$souk" --dir "$work/2" invoke echo -d 1 >/dev/null 2>&1 & clients+=($!); done
await 30 "two run over there" runs echo 2
[[ $(http 2 POST /models/echo/invoke -d 1 | jq -r .code) == busy ]] || fail "a third one of that node is taken"
kill -KILL "${clients[@]}"
await 30 "they are cancelled" runs echo 0
sed -i '/^limits.invokes_peer/d' "$work/1/souk.conf"
reread 1
head -c 3000000 /dev/urandom >"$work/big"
echo '{"command":["cat"],"input":"bytes","output":"bytes","limits":{"output_kb":8192},"allow_weak":true,"share":true}' >"$work/manifest"
on 1 deploy echo --manifest "$work/manifest" >/dev/null || fail "a manifest"
on 2 invoke echo -d @"$work/big" | cmp - "$work/big" || fail "3 MB there and back"
deploy 1 echo --share "${gated[@]}" || fail "deploy: $(cat "$work/deploy.err")"
pieces "$http2" "$token2"

say "another node takes over where nothing was started"
echo '{"command":["sh","-c","sleep 2; echo 1"],"parallel":1,"queue":1,"allow_weak":true,"share":true}' >"$work/busy"
on 1 deploy echo --manifest "$work/busy" >/dev/null || fail "deploy busy"
deploy 3 echo --share --output text -- sh -c 'echo 3' || fail "deploy on 3"
knows_both() { [[ $(on 2 ls node -o json | jq -r '[.[] | select(.node.deployments | length > 0)] | length') == 2 ]]; }
await 15 "node 2 knows of both" knows_both
[[ $(on 2 invoke echo -d 1 --on "$(field 3 id | cut -c1-12)") == 3 ]] || fail "--on"
for _ in 1 2 3 4; do on 2 invoke echo -d 1 >>"$work/taken" 2>>"$work/taken.err" & clients+=($!); done
wait "${clients[@]}" 2>/dev/null
[[ $(wc -l <"$work/taken") == 4 ]] || fail "of four, $(wc -l <"$work/taken") were answered: $(cat "$work/taken.err")"

say "what may have run is not tried again"
on 3 deploy rm echo || fail "deploy rm on 3"
deploy 1 echo --share --timeout 300 --input text -- sh -c '[ "$(cat)" = 1 ] || sleep 300; echo 1'
only_one() { [[ $(on 2 ls node -o json | jq -r '[.[] | select(.node.deployments | length > 0)] | length') == 1 ]]; }
await 15 "node 2 knows of one" only_one
http 2 POST /models/echo/invoke -d 2 -o "$work/problem" 2>/dev/null &
client=$!
await 30 "it runs on node 1" runs echo 1
deploy 3 echo --share --output text -- sh -c 'echo 3' || fail "deploy on 3"
await 15 "node 2 knows of both again" knows_both
kill9 1
wait $client
[[ $(jq -r '.code + " " + (.status | tostring)' "$work/problem") == "lost 502" ]] || fail "a run that was cut off: $(cat "$work/problem")"
[[ $(on 3 deploy ls -o json | jq '.[0].started') == 0 ]] || fail "it was run again on node 3"
[[ $(on 2 invoke echo -d 1) == 3 ]] || fail "node 3 does not take over"

say "after a restart"
start 1 --mesh "$(sed -nE 's/^ready .*mesh_id=([^ ]+).*/\1/p' "$work/2.out")" --peer "$(field 2 mesh)"
again() { [[ $(on 1 deploy ls -o json | jq -r '.[0].state') == ready ]]; }
await 10 "the deployment is there again" again
[[ $(on 1 invoke echo -d 1) == 1 ]] || fail "it does not run any more"
deploy 1 echo -- "$work/tool" && [[ $(on 1 invoke echo -d 1 2>&1) != 1 ]]
stop 1
cp /bin/cat "$work/tool.new" && mv "$work/tool.new" "$work/tool"
start 1 --peer "$(field 2 mesh)"
broken() { [[ $(on 1 deploy ls -o json | jq -r '.[0].state') == broken ]]; }
await 10 "a file that changed meanwhile is found" broken
on 1 invoke echo -d 1 2>"$work/err"
[[ $? == 1 ]] || fail "a broken deployment ran"
grep -q 'changed since it was deployed' "$work/err" || fail "why it is broken: $(cat "$work/err")"
stop 1
printf '#!/\xff/sh\n' >"$work/tool"
start 1 --peer "$(field 2 mesh)"
not_text() { [[ $(on 1 deploy ls -o json | jq -r '.[0].detail') == "the first line of $work/tool, which names its interpreter, is not UTF-8" ]]; }
await 10 "a program whose first line is no text" not_text
on 3 invoke echo -d 1 --receipt /dev/null/x >"$work/out" 2>"$work/err"
[[ $? == 1 && $(cat "$work/out") == 3 ]] || fail "a receipt that cannot be written: $(cat "$work/out" "$work/err")"
grep -q 'cannot write /dev/null/x: Not a directory; `souk receipt ls`' "$work/err" || fail "why a receipt is not written: $(cat "$work/err")"

say "a stop does not wait for what runs"
deploy 3 echo --share --timeout 300 -- sleep 300 || fail "deploy on 3"
await 15 "node 2 knows of one" only_one
for n in 2 3; do http $n POST /models/echo/invoke -H 'X-Timeout: 200' -d 1 -o /dev/null 2>/dev/null & done
both_run() { [[ $(on 3 deploy ls -o json | jq '.[0].running') == 2 ]]; }
await 30 "both run" both_run
for n in 1 2 3; do stop $n; done
