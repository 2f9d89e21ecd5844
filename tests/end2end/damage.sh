#!/usr/bin/env bash
# Bytes on disk that changed: every verb ends with status 6 and names the file, the reason and the next step; what can still
# be read is read; and the next step works.
. "$(dirname "$0")/lib.bash"

# flip FILE OFFSET: one byte.
flip() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf "\\x$(printf %02x $((byte ^ 0x55)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
file() { # N SUFFIX: the largest such file of node N's store
    find "$work/$1/store" -name "$2" -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2
}
again() { # N: a fresh copy of node 1's directory as N
    rm -rf "${work:?}/$1"
    cp -a "$work/1" "$work/$1"
}
# unverified N FILE VERB...: status 6, and a message with the file and the next step.
unverified() {
    local n=$1 file=$2 got
    shift 2
    on "$n" "$@" >"$work/try.out" 2>"$work/try.log" </dev/null
    got=$?
    [[ $got == 6 ]] || fail "souk $*: status $got, not 6: $(cat "$work/try.log")"
    grep -qF "$file" "$work/try.out" "$work/try.log" || fail "souk $* does not name ${file##*/}: $(cat "$work/try.out" "$work/try.log")"
    grep -qF "stop the node, move $work/$n/store away and start it again" "$work/try.log" || fail "souk $* names no next step: $(cat "$work/try.log")"
}
run=(run --http 127.0.0.1:0 --listen 127.0.0.1:0)

start 1
join 2
catalogue 300 | on 1 import jsonl - >/dev/null 2>&1 || fail "import"
await 30 "equal" same_state 1 2
stop 1

say "the log"
again 3
flip "$(file 3 '*.log')" 5000
for verb in "${run[*]}" verify "verify model made/model-1" "export jsonl -"; do
    # shellcheck disable=SC2086
    unverified 3 "$(file 3 '*.log')" $verb
done
on 3 doctor -o json >"$work/doctor" && fail "doctor finds nothing"
jq -e 'any(.[]; .check == "store" and .result == "FAIL" and (.detail | test("[.]log does not match its checksum")))' "$work/doctor" >/dev/null || fail "doctor: $(cat "$work/doctor")"
[[ ! -s $work/try.out ]] || fail "an export of nothing writes something"

start 1
stop 1 # the log is a table now
say "the list of tables"
again 3
flip "$(file 3 'MANIFEST-*')" 30
for verb in "${run[*]}" verify "export jsonl -"; do
    # shellcheck disable=SC2086
    unverified 3 "$(file 3 'MANIFEST-*')" $verb
done

say "a table"
again 3
table=$(file 3 '*.sst')
flip "$table" 50 # the first rows are deltas: entries are still shown
unverified 3 "$table" verify
start 3
unverified 3 "$table" verify
echo '{"name":"x"}' | on 3 put model - 2>"$work/try.log"
[[ $? == 6 ]] && grep -q 'run `souk verify`' "$work/try.log" || fail "a write that meets the damage: $(cat "$work/try.log")"
grep -q "error store the disk failed a write: .*$table.*; bytes on disk are not what was written: stop the node" "$work/3.err" || fail "the log does not name the file"
[[ $(on 3 ls model --all -o jsonl | wc -l) == 300 ]] || fail "what can be read is not read"
on 3 export jsonl - 2>/dev/null | wc -l | found -x 300 || fail "what can be read is not exported"
stop 3
flip "$table" "$(($(stat -c %s "$table") * 3 / 4))" # rows with JSON
start 3
on 3 ls model --all -o jsonl >"$work/try.out" 2>"$work/try.log"
[[ $? == 6 ]] && grep -q 'run `souk verify`' "$work/try.log" || fail "a list lacks rows without a word: $(wc -l <"$work/try.out") of 300, $(cat "$work/try.log")"
[[ $(http 3 POST /models/search -d '{"query":"made"}' | jq -r .code) == corrupt ]] || fail "a search lacks rows without a word"
stop 3
for at in $(seq 2000 2000 "$(($(stat -c %s "$table") - 4000))"); do flip "$table" "$at"; done
for verb in "${run[*]}" "export jsonl $work/exported"; do
    # shellcheck disable=SC2086
    unverified 3 "$table" $verb
done

say "as told"
flip "$(file 1 'MANIFEST-*')" 30
unverified 1 "$(file 1 'MANIFEST-*')" "${run[@]}"
mv "$work/1/store" "$work/1/store.damaged"
start 1 --peer "$(field 2 mesh)"
await 60 "the catalogue is back" same_state 1 2
[[ $(status 1 .entries.model) == 300 ]] || fail "$(status 1 .entries) came back"
on 1 verify || fail "verify"
stop 1
stop 2
