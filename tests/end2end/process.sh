#!/usr/bin/env bash
# A node as a process: the ready line, a stale socket, settings on SIGHUP, the log's form, a graceful stop while requests
# are open, and no second life for a directory of another mesh.
. "$(dirname "$0")/lib.bash"

start 1
[[ $(grep -c . "$work/1.out") == 1 ]] || fail "stdout holds more than the ready line"
grep -qE '^ready id=[0-9a-f]{64} http=127\.0\.0\.1:[0-9]+ mesh=127\.0\.0\.1:[0-9]+ mesh_id=[0-9a-f]{64} admin=/.*/admin\.sock$' "$work/1.out" ||
    fail "the ready line is $(cat "$work/1.out")"
bad=$(grep -cvE '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z (error|warn|info|debug) (node|net|store|api) .' "$work/1.err")
[[ $bad == 0 ]] || fail "$bad log lines have another form"
id=$(field 1 id)
mesh=$(field 1 mesh_id)

say "SIGHUP"
printf 'log = debug\ncache_mb = 99\n' >"$work/1/souk.conf"
kill -HUP "${pid[1]}"
again() { grep -q 'settings read again' "$work/1.err"; }
await 10 "settings are read again" again
grep -q 'cache_mb changed; it takes effect at the next start' "$work/1.err" || fail "what cannot change now is not named"
echo 'cash_mb = 1' >"$work/1/souk.conf"
kill -HUP "${pid[1]}"
kept() { grep -q 'the settings stay as they were: souk.conf line 1' "$work/1.err"; }
await 10 "a bad file is refused" kept
rm "$work/1/souk.conf"

say "a node that does not answer"
kill -STOP "${pid[1]}"
SOUK_TIMEOUT=1 timeout 120 "$souk" --dir "$work/1" status 2>"$work/late"
[[ $? == 8 ]] || fail "a node that hangs: $(cat "$work/late")"
grep -q 'did not answer in time; its log may tell why' "$work/late" || fail "$(cat "$work/late")"
kill -CONT "${pid[1]}"
on 1 status >/dev/null || fail "the node goes on"

say "stop with a stream open"
http 1 GET /changes -N -H 'Accept: text/event-stream' >"$work/stream" 2>&1 &
stream=$!
await 10 "the stream is open: the node's own entry comes" grep -q '^data: ' "$work/stream"
stop 1
wait $stream
grep -q 'stopping: SIGTERM' "$work/1.err" && grep -q 'info node stopped' "$work/1.err" || fail "the log does not tell of the stop"

say "start again"
start 1
[[ $(field 1 id) == "$id" && $(field 1 mesh_id) == "$mesh" ]] || fail "another identity after a restart"
kill9 1
[[ -S $work/1/admin.sock ]] || fail "wanted a stale socket"
start 1 --mesh "$mesh"
kill -INT "${pid[1]}"
wait "${pid[1]}" || fail "SIGINT: status $?"
unset 'pid[1]'
"$souk" --dir "$work/1" run --mesh "$(printf '2%.0s' {1..64})" 2>"$work/other"
[[ $? == 4 ]] || fail "another mesh in the same directory"
grep -q 'belongs to mesh' "$work/other" || fail "$(cat "$work/other")"

say "shutdown over the admin socket"
start 1
[[ $(code 1 POST /admin/shutdown) == 200 ]] || fail "shutdown"
wait "${pid[1]}" || fail "status $?"
unset 'pid[1]'

say "installed files"
DESTDIR=$work/inst cmake --install "$build" --prefix /usr >/dev/null || fail "cmake --install"
for file in usr/bin/souk usr/share/man/man1/souk.1 usr/share/bash-completion/completions/souk usr/lib/systemd/system/souk.service; do
    [[ -s $work/inst/$file ]] || fail "$file is not installed"
done
