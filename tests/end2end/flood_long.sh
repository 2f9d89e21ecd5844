#!/usr/bin/env bash
# A real node under floods of connections, ids, orphans and messages without end: its resident memory stays within 64 MiB of
# what it was, it answers meanwhile, and afterwards takes writes and peers as before.
. "$(dirname "$0")/lib.bash"
[[ -z $(nm -D "$souk" 2>/dev/null | grep -m1 __asan) ]] || { echo "resident memory says nothing with sanitizers: skipped"; exit 77; }

kb() { awk -v name="$2:" '$1 == name { print $2 }' "/proc/${pid[$1]}/status"; }

# large N: N models of 15 kB.
large() {
    awk -v n="$1" 'BEGIN { for (k = 0; k < 1500; k++) text = text "ten bytes "
        for (i = 1; i <= n; i++) printf "{\"name\":\"large/%d\",\"description\":\"%d %s\"}\n", i, i, text }'
}

say "a node that has worked; the store's caches, which ordinary work fills as well, are small and full"
start 1 --set cache_mb=8 --set write_buffer_mb=4
large 8000 | on 1 import jsonl - >/dev/null || fail "import"
for i in 1 2 3; do on 1 ls model --all -o jsonl >/dev/null || fail "ls"; done
large 4000 | sed 's/ten bytes/2nd bytes/' | on 1 import jsonl - >/dev/null || fail "the import of edits"
on 1 ls model --all -o jsonl | jq -r --arg at "http://$(field 1 http)/models/" '"url = \"\($at)\(.model.model_id)\"\noutput = /dev/null"' >"$work/all"
[[ $(wc -l <"$work/all") -eq 16000 ]] || fail "the list of all models"
curl -sfK "$work/all" || fail "a read of every model"
idle=$(kb 1 VmRSS)
echo 5 >"/proc/${pid[1]}/clear_refs" || fail "the mark of the highest memory cannot be set back"

say "floods for 20 seconds"
"$build/tests/flooder" "$(field 1 mesh | sed 's/.*://')" "$(field 1 mesh_id)" 20 connections ids orphans messages >"$work/flooder" &
flooder=$!
answers=0
while kill -0 $flooder 2>/dev/null; do
    curl -sf -m $((20 * patience)) "http://$(field 1 http)/models?limit=3" >/dev/null || fail "no answer under the flood"
    answers=$((answers + 1))
    sleep 0.2
done
wait $flooder || fail "the flood did not get through: $(cat "$work/flooder")"
peak=$(kb 1 VmHWM)
cat "$work/flooder"
echo "resident: $((idle / 1024)) MiB before, at most $((peak / 1024)) MiB; $answers reads answered meanwhile"
[[ $((peak - idle)) -le 65536 ]] || fail "memory grew by $(((peak - idle) / 1024)) MiB, 64 are allowed"

say "afterwards"
on 1 put model - <<<'{"name":"after"}' >/dev/null || fail "a write"
join 2
await 300 "a newcomer has everything" same_state 1 2
stop 2
stop 1
