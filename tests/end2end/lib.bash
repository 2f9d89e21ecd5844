# Shared by the end-to-end tests: starts real nodes of the build in $SOUK_BUILD in directories of its own
# and stops them at the end, whatever happens. A node N lies in $work/N; its output is in $work/N.out and .err.
set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${SOUK_BUILD:-$top/build}
souk=$build/souk
data=${SOUK_SHARED:-$top/../shared}/data
unset SOUK_DIR SOUK_PASSPHRASE
work=$(mktemp -d /tmp/souk-XXXXXX) # short: socket paths have 107 bytes
declare -A pid
declare -A enter # a command that node N is started through, for example nsenter
[[ -x $souk ]] || { echo "no souk in $build"; exit 1; }

finish() {
    local code=$? n
    trap - EXIT
    [[ -z ${pid[run]:-} ]] || { kill -TERM "${pid[run]}" && wait "${pid[run]}"; } 2>/dev/null
    [[ -z ${shell_pid:-} ]] || kill "$shell_pid" 2>/dev/null
    for n in "${!pid[@]}"; do kill -KILL "${pid[$n]}" 2>/dev/null; done
    wait 2>/dev/null
    if grep -lE 'AddressSanitizer|LeakSanitizer|runtime error:|Assertion' "$work"/*.err >/dev/null 2>&1; then
        grep -hE -A 20 'AddressSanitizer|LeakSanitizer|runtime error:|Assertion' "$work"/*.err | head -60
        code=1
    fi
    if [[ $code != 0 && $code != 77 ]]; then tail -n 15 "$work"/*.err 2>/dev/null; fi
    ! mountpoint -q "$work/1" || umount -l "$work/1"
    rm -rf "$work"
    exit "$code"
}
trap finish EXIT

fail() {
    echo "FAILED: $*"
    exit 1
}
say() { echo "-- $*"; }
# As `grep -q` of a pipe, but reads to its end: whoever still writes would fail of it otherwise.
found() {
    grep "$@" | tail -c 1 | grep -q ''
}

# await SECONDS WHAT COMMAND...: until the command succeeds. The seconds are those of a machine with nothing else to do; a slow
# or loaded one gets several times as long, which costs nothing where all is well.
patience=${SOUK_PATIENCE:-5}
await() {
    local seconds=$(($1 * patience)) what=$2 deadline
    shift 2
    deadline=$(($(date +%s%N) + seconds * 1000000000))
    until "$@"; do
        [[ $(date +%s%N) -lt $deadline ]] || fail "not within $seconds s: $what"
        sleep 0.05
    done
}

is_ready() { grep -q '^ready ' "$work/$1.out" 2>/dev/null || ! kill -0 "${pid[$1]}" 2>/dev/null; }

# start N OPTION...: a node on free ports; fails unless it gets ready.
start() {
    local n=$1
    shift
    : >"$work/$n.out"
    # shellcheck disable=SC2086
    ${enter[$n]:-} "$souk" --dir "$work/$n" run --http 127.0.0.1:0 --listen 127.0.0.1:0 --set "name=node-$n" "$@" >"$work/$n.out" 2>>"$work/$n.err" &
    pid[$n]=$!
    await 30 "node $n is ready" is_ready "$n"
    grep -q '^ready ' "$work/$n.out" || fail "node $n did not start: $(tail -n 3 "$work/$n.err")"
}

# field N NAME: from the ready line, e.g. http, mesh, mesh_id, id.
field() { sed -nE "s/^ready .*\\b$2=([^ ]+).*/\\1/p" "$work/$1.out"; }

# join N OPTION...: a node of node 1's mesh.
join() {
    local n=$1
    shift
    start "$n" --mesh "$(field 1 mesh_id)" --peer "$(field 1 mesh)" "$@"
}

# reread N: node N reads its settings again, and has done so when this returns.
rereads() { grep -c 'settings read again' "$work/$1.err"; }
reread_since() { [[ $(rereads "$1") -gt $2 ]]; }
reread() {
    local before
    before=$(rereads "$1")
    kill -HUP "${pid[$1]}"
    await 10 "node $1 reads its settings again" reread_since "$1" "$before"
}

# stop N: SIGTERM, and exit status 0 within 5 seconds; a slow or loaded machine gets more, as with await.
stop() {
    local n=$1 begin code
    begin=$(date +%s%N)
    kill -TERM "${pid[$n]}"
    wait "${pid[$n]}"
    code=$?
    unset "pid[$n]"
    [[ $code == 0 ]] || fail "node $n ended with status $code"
    [[ $(($(date +%s%N) - begin)) -lt $((5 * patience * 1000000000)) ]] || fail "node $n took over $((5 * patience)) s to stop"
}
kill9() {
    kill -KILL "${pid[$1]}"
    wait "${pid[$1]}" 2>/dev/null
    unset "pid[$1]"
}

on() { # N VERB...: the command line against node N
    local n=$1
    shift
    "$souk" --dir "$work/$n" "$@"
}
status() { on "$1" status -o json | jq -r "$2"; }
http() { # N METHOD PATH [CURL-OPTION...]: over the admin socket
    local n=$1 method=$2 path=$3
    shift 3
    curl -sS --unix-socket "$work/$n/admin.sock" -X "$method" "$@" "http://souk$path"
}
code() { # the status of the same
    http "$@" -o /dev/null -w '%{http_code}'
}

same_state() { # N...: equal digest and state hash
    local n first='' now
    for n in "$@"; do
        now=$(status "$n" '.digest + " " + .state_hash') || return 1
        [[ -n $first ]] || first=$now
        [[ $now == "$first" ]] || return 1
    done
}
peers_up() { [[ $(status "$1" '[.peers[] | select(.state == "up")] | length') -ge $2 ]]; }

# catalogue N: N lines of jsonl to write.
catalogue() {
    awk -v n="$1" 'BEGIN { for (i = 1; i <= n; i++)
        printf "{\"kind\":\"model\",\"model\":{\"name\":\"made/model-%d\",\"description\":\"number %d of a made catalogue\",\"tags\":[\"t%d\"],\"parameters\":%d}}\n", i, i, i % 7, i * 1000 }'
}
