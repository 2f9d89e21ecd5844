#!/usr/bin/env bash
# Replays the README: every command of its console blocks, in order, in one shell, and compares what comes out.
# In the expected output … stands for any text, a line of ... for any lines; ids, times and the like are compared by
# their form alone. Runs in a network namespace of its own, so that the ports of the README are free.
if [[ ${1:-} != inside ]]; then
    unshare -n true 2>/dev/null || { echo "needs a network namespace (root)"; exit 77; }
    exec unshare -n "$0" inside
fi
. "$(dirname "$0")/lib.bash"
command -v ip >/dev/null && ip link set lo up
cd "$top" || exit 1
export SOUK_BUILD=$build

# blocks: C lines are commands, O lines the output expected after them.
awk '/^```console$/ { on = 1; next } /^```$/ { on = 0 } on { if (sub(/^\$ /, "")) print "C" $0; else print "O" $0 }' README.md |
    sed "s|/var/lib/souk|$work/souk|g; s|\$PWD/build|$build|g; s|/tmp/catalogue|$work/catalogue|g; s|/tmp/receipt|$work/receipt|g" >"$work/script"
[[ $(grep -c '^C' "$work/script") -ge 15 ]] || fail "the README has $(grep -c '^C' "$work/script") commands"
! grep -q '^C' <(sed '1,/^## Five minutes/d' README.md | grep '^    \$ ') || fail "a command outside of a console block"

# pattern: an extended regular expression for the expected output on stdin.
pattern() {
    sed -E 's/^\.\.\.$/\x01/; s/[][(){}.*+?^$|\\]/\\&/g; s/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\\.[0-9]{3}Z/[0-9T:.Z-]+/g; s/[0-9a-f]*…/.*/g; s/ +/ +/g; s/^\x01$/(.*\\n)*.*/'
}

# compare FILE: does the output in FILE fit what was expected ($work/want)?
compare() {
    local regex
    regex=$(pattern <"$work/want")
    local got
    got=$(cat "$1")
    [[ $got =~ ^${regex}$ ]]
}

coproc shell { exec bash 2>&1; }
shell_pid=$!
exec {to}>&"${shell[1]}" {from}<&"${shell[0]}"

# run COMMAND: its output into $work/got.
run() {
    echo "$1" >&"$to"
    # shellcheck disable=SC2028
    echo "echo; echo '--- done'" >&"$to"
    : >"$work/got"
    local line
    while IFS= read -r -t 60 line <&"$from"; do
        [[ $line != '--- done' ]] || break
        printf '%s\n' "$line" >>"$work/got"
    done
    sed -i '$ { /^$/d }' "$work/got"
}

# check COMMAND: runs it and compares; what another node must have heard of first may take a moment.
check() {
    local i
    for ((i = 0; i < 300; i++)); do
        run "$1"
        compare "$work/got" && return 0
        [[ $1 == *"souk search"* || $1 == *"souk status"* || $1 == "curl -s http"* || $1 == *"souk export"* || $1 == *" invoke "* ]] || break
        sleep 0.2
    done
    echo "\$ $1"
    diff "$work/want" "$work/got"
    fail "the README shows something else"
}

start_mesh() {
    (cd "$top" && SOUK_DIR=$work/souk exec ./deploy/run --mesh 3) >"$work/run.out" 2>"$work/run.err" &
    pid[run]=$!
    shown() { compare "$work/run.out" || ! kill -0 "${pid[run]}" 2>/dev/null; } # it is still writing
    await 60 "deploy/run has started three nodes" shown
    compare "$work/run.out" || { diff "$work/want" "$work/run.out"; fail "deploy/run prints something else"; }
}

commands=0
finish_command() {
    [[ -n ${command:-} ]] || return 0
    commands=$((commands + 1))
    if [[ $command == ./deploy/run* ]]; then start_mesh; else check "$command"; fi
}
command=
while IFS= read -r line; do
    if [[ $line == C* ]]; then
        finish_command
        command=${line#C}
        : >"$work/want"
    else
        printf '%s\n' "${line#O}" >>"$work/want"
    fi
done <"$work/script"
finish_command
echo "$commands commands of the README replayed"

# One node killed: the others go on, and what deploy/run prints brings it back.
pkill -KILL -f -- "$work/souk/mesh-2 run " || fail "there is no second node"
told() { grep -q '^run: node 2 has stopped with status 137; ' "$work/run.err"; }
await 10 "deploy/run says that a node has stopped" told
for n in 1 3; do on "souk/mesh-$n" status >/dev/null || fail "node $n ended with node 2"; done
bash -c "exec $(sed -n 's/^run: node 2 .* to start it again: //p' "$work/run.err")" >"$work/again.out" 2>"$work/again.err" &
pid[again]=$!
await 30 "node 2 is back" is_ready again
await 30 "node 2 holds what the others hold" same_state souk/mesh-1 souk/mesh-2 souk/mesh-3
stop again

kill -INT "${pid[run]}"
wait "${pid[run]}"
code=$?
unset 'pid[run]'
[[ $code == 0 ]] || fail "Ctrl-C: deploy/run ended with status $code"
! pgrep -f "$work/souk" >/dev/null || fail "a node is still running"
kill "$shell_pid" 2>/dev/null
