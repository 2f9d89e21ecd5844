#!/usr/bin/env bash
# What an operator sees of the mesh, each trouble made for real: souk doctor names a node of another mesh, a clock that is
# off, a blocked port, a stopped node and a cut network, each with the next step; peer ls, /metrics and the log show the rest.
. "$(dirname "$0")/netns.bash"
for i in a1 b2 c3 w4 z5 g6; do host "${i:0:1}" "${i:1}"; done

# doctor HOST: its findings as JSON in $work/found; the exit status is doctor's.
doctor() { at "$1" "$souk" --dir "$work/$1" doctor -o json >"$work/found" 2>"$work/found.log"; }
# found CHECK RESULT DETAIL NEXT: is there such a finding? The last two are regular expressions.
found() {
    jq -e --arg c "$1" --arg r "$2" --arg d "$3" --arg n "$4" \
        'any(.[]; .check == $c and .result == $r and (.detail | test($d)) and (.next | test($n)))' "$work/found" >/dev/null
}
expect() { found "$@" || fail "doctor does not say \"$1\" \"$2\" \"$3\" \"$4\": $(jq -c '.[]' "$work/found" "$work/found.log")"; }
none() { jq -e --arg c "$1" 'all(.[]; .check != $c)' "$work/found" >/dev/null || fail "doctor says $1: $(cat "$work/found")"; }
peer() { # HOST OTHER-ADDRESS FILTER: of the peer object
    on "$1" peer ls -o json | jq -r --arg a "$2" ".[] | select(.address == \$a) | $3"
}
is_up() { [[ $(peer "$1" "$2" .state) == up ]]; }
trouble_is() { [[ $(peer "$1" "$2" .trouble.code) == "$3" ]]; }

say "all is well"
in_step() { # N: is a in step with N others, deltas spread to and from all of them, and each wrote its own entry?
    on a peer ls -o json | jq -e --argjson n "$1" 'length == $n and all(.[]; .state == "up" and .synced)' >/dev/null &&
        [[ $(http a GET /metrics | grep -cx "souk_overlay_links{direction=\"in\"} $1") == 1 && $(status a .entries.node) == $(($1 + 1)) ]]
}
node a
mesh=$(field a mesh_id)
node b --mesh "$mesh" --peer 10.77.0.1:7071
await 30 "a and b in step" in_step 1
echo '{"name":"one"}' | on b put model - >/dev/null
await 20 "a has it" eval 'on a get model one >/dev/null 2>&1' # from b: nobody else is there
node c --mesh "$mesh" --peer 10.77.0.1:7071
settled() { in_step 2 && same_state a b c; }
await 30 "three nodes in step" settled
doctor a || fail "doctor finds a fault: $(cat "$work/found")"
expect peers ok 'connected to 2 of 2 known nodes, in step with 2' '^$'
expect clocks ok 'within 5 s of those of 2 peers' '^$'
expect listen ok '0.0.0.0:7071 answers' '^$'
for check in partition stopped 'blocked port' 'mesh id' silent lag; do none "$check"; done

say "peer ls, metrics, log"
b=$(field b id)
on a peer ls >"$work/peers"
grep -qE '^PEER +ADDRESS +STATE +LAG +QUEUE +SCORE +SENT +RECEIVED +NOTE$' "$work/peers" || fail "peer ls: $(cat "$work/peers")"
grep -qE "^${b:0:12} +[0-9.:]+ +up +[0-9]+ ms +[0-9.]+ k?B +[0-9]+ .* in step$" "$work/peers" || fail "peer ls: $(cat "$work/peers")"
grep -qE "^${b:0:12} +20[0-9T:-]+ +\+[0-9]+ +[0-9]+ +a new delta$" "$work/peers" || fail "no reason of the score: $(cat "$work/peers")"
[[ $(on a peer ls -o jsonl | wc -l) == 2 ]] || fail "peer ls -o jsonl"
on a peer ls -o json | jq -e 'all(.[]; has("id") and has("address") and has("state") and has("lag_ms") and has("sent_bytes")
    and has("received_bytes") and has("queued_bytes") and (.score == ([.score_changes[].by] | add // 0))
    and all(.score_changes[]; .reason != "" and .at != "" and .times > 0) and .trouble == null)' >/dev/null || fail "peer objects"
http a GET /metrics >"$work/metrics"
for family in up lag_seconds queue_bytes queue_ids asked_ids score clock_skew_seconds sent_bytes_total received_bytes_total sessions_total; do
    [[ $(grep -c "^souk_peer_$family{" "$work/metrics") == 2 ]] || fail "souk_peer_$family: $(grep souk_peer_ "$work/metrics")"
done
grep -qE "^souk_peer_up\{peer=\"$b\"\} 1$" "$work/metrics" || fail "souk_peer_up of b"
grep -qE '^souk_peer_score_changes_total\{reason="fresh"\} [1-9]' "$work/metrics" || fail "reasons in metrics"
for type in delta ihave iwant idontwant graft prune; do
    for direction in sent received; do
        [[ $(grep -cE "^souk_mesh_messages_total\{type=\"$type\",direction=\"$direction\"\} [0-9]+$" "$work/metrics") == 1 ]] || fail "$type $direction"
    done
done
grep -qE '^souk_mesh_messages_total\{type="delta",direction="received"\} [1-9]' "$work/metrics" || fail "no delta is counted"
grep -qE '^souk_overlay_links\{direction="in"\} 2$' "$work/metrics" || fail "souk_overlay_links: $(grep souk_overlay "$work/metrics")"
grep -qE "^${b:0:12} +both ways +0 +[0-9]+/[1-9][0-9]* +[0-9]+/[0-9]+ .* 0/0 +0/0$" "$work/peers" || fail "how deltas spread: $(cat "$work/peers")"
# What `promtool check metrics` would say: each family announced once, counters alone in _total, units spelled out, no name twice.
awk '/^# (HELP|TYPE)/ { if (seen[$2 $3]++) print "twice: " $0 }
    /^# HELP/ && NF < 4 { print "no help: " $0 }
    /^# TYPE/ { family = $3; type = $4; if ((type == "counter") != (family ~ /_total$/)) print "name: " $0
        if (family ~ /(_ms|_millis|_kb|_mb|_minutes)(_|$)/ || family !~ /^(souk|process)_[a-z][a-z0-9_]*$/) print "unit: " $0 }
    !/^#/ { name = $1; sub(/\{.*/, "", name); base = name; if (type == "histogram") sub(/_(bucket|sum|count)$/, "", base)
        if (base != family || (line[$0]++)) print "sample: " $0; if (sample[$1]++) print "twice: " $0 }' "$work/metrics" >"$work/lint"
[[ ! -s $work/lint ]] || fail "names of metrics: $(cat "$work/lint")"
! command -v promtool >/dev/null || promtool check metrics <"$work/metrics" || fail "promtool"
grep -q ' debug net ' "$work/a.err" && fail "debug lines before they were asked for"
on a log net=debug || fail "log net=debug"
on a peer add 10.77.0.6:7071 || fail "peer add"
await 20 "a debug line of net" grep -q ' debug net dialing 10.77.0.6:7071' "$work/a.err"
grep -q ' debug api ' "$work/a.err" && fail "another subsystem changed its level"
on a log net=info
on a log nonsense 2>/dev/null && fail "a level that is none"
grep -vE '^20[0-9T:.-]+Z (error|warn|info|debug) [a-z]+ .' "$work/a.err" && fail "a log line of another form"

say "a machine without a node"
await 20 "refused" trouble_is a 10.77.0.6:7071 connect_refused
doctor a
expect stopped warn '10.77.0.6:7071: that machine answers, but no node listens on the port' 'start the node there.*souk peer rm 10.77.0.6:7071'

say "a blocked port"
drop g 'tcp dport 7071'
node g --mesh "$mesh" --peer 10.77.0.99:7071
doctor a
expect 'blocked port' warn '10.77.0.6:7071: that machine answers, but what is sent to this port is dropped' 'open TCP port 7071'
doctor g && fail "a node that reaches nobody is not well"
expect partition FAIL '1 of 1 known nodes out of reach' 'ip route'
on g peer ban 00000000 2>/dev/null && fail "a peer without a key has no id to be named by"
on g peer rm 10.77.0.99:7071 || fail "peer rm by address"
[[ $(on g peer ls -o json) == '[]' ]] || fail "the peer is still there"
undrop g
await 40 "a reaches g once its port is open" is_up a 10.77.0.6:7071
stop g
on a peer rm "$(field g id)" || fail "peer rm"

say "another mesh"
node w --new-mesh elsewhere --peer 10.77.0.1:7071
await 20 "turned away" trouble_is w 10.77.0.1:7071 mesh
doctor w && fail "a node of another mesh is not well"
expect 'mesh id' FAIL "10.77.0.1:7071 belongs to another mesh than this node's $(field w mesh_id | cut -c1-12)" '--mesh ITS_ID --peer 10.77.0.1:7071.*souk peer rm'
doctor a || fail "a stranger is no fault of this node"
expect 'mesh id' note 'a node at 10.77.0.4 dialed [0-9]+ times and was turned away' "--mesh $mesh"
stop w

say "a clock that is off"
cc -shared -fPIC -O1 -o "$work/clock.so" "$(dirname "$0")/clock_shift.c" || fail "the compiler"
enter[z]+=" env LD_PRELOAD=$work/clock.so CLOCK_SHIFT_S=1200 ASAN_OPTIONS=verify_asan_link_order=0"
node z --mesh "$mesh" --peer 10.77.0.1:7071 --peer 10.77.0.2:7071
await 30 "z is connected" peers_up z 2
doctor z && fail "a clock 20 minutes ahead is not well"
expect clock FAIL "this machine's clock is (20 min [0-9] s|19 min 5[0-9] s) ahead of that of ([23]) of \\2 peers; what is written here is set aside" 'date -u.*NTP'
doctor a
expect clock warn "the clock of $(field z id | cut -c1-12).* is (20 min [0-9] s|19 min 5[0-9] s) ahead; what it writes is set aside here" 'NTP'
deferred() { [[ $(status a .deferred) -gt 0 ]]; }
await 20 "what z writes is put off" deferred
stop z
on a peer rm "$(field z id)" || fail "peer rm"

say "a network that is cut"
unplug a
lost() { ! peers_up a 1; }
await 30 "a has lost the others" lost
a_is_gone() { ! is_up b 10.77.0.1:7071; }
await 30 "b has lost a" a_is_gone
doctor a && fail "a node that is cut off is not well"
expect partition FAIL '2 of 2 known nodes out of reach for .*They went together.*merge when they meet' 'ip route'
doctor b || fail "b still has c"
expect partition warn '1 of 2 known nodes out of reach' 'souk peer rm'
plug a
await 40 "three nodes in step again" settled
doctor a || fail "all is well again: $(cat "$work/found")"
none partition

say "a restart: peers, scores and bans are remembered"
of() { on b peer ls -o json | jq -r --arg id "$(field "$1" id)" ".[] | select(.id == \$id) | $2"; }
on b peer ban "$(field w id)" || fail "ban"
score=$(of a .score)
[[ $score -gt 0 ]] || fail "b holds no score of a"
stop b
[[ $(stat -c %a "$work/b/peers") == 600 ]] || fail "the address book can be read by others"
node b
await 40 "b finds the others without being told" peers_up b 2
others() { on b peer ls -o json | jq '[.[] | select(.state != "banned")] | length'; } # stopped ones among them; the banned one is not missed
asked() { # doctor of b, while b meets nobody new
    others=$(others)
    doctor b || fail "a ban is no fault: $(cat "$work/found")"
    [[ $(others) == "$others" ]]
}
await 20 "b meets nobody new" asked
expect peers ok "connected to 2 of $others known nodes, in step with [0-2]" '^$'
expect banned note ' is banned here' 'souk peer unban'
[[ $(of w .state) == banned ]] || fail "the ban was forgotten: $(on b peer ls)"
[[ $(of a .score) -ge $score ]] || fail "the score was forgotten: $(on b peer ls)"
for n in a b c; do stop $n; done
