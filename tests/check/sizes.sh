#!/usr/bin/env bash
# Functions have at most 60 lines and 5 parameters, files at most 600 lines; the medians are printed.
# Core code carries at least 25 assertions per 1000 lines.
. "$(dirname "$0")/lib.bash"
function_max=60
file_max=600
parameter_max=5
asserts_min=25
command -v ctags >/dev/null || { echo "needs universal-ctags"; exit 1; }

# functions TREE: "LINES FILE:LINE NAME SIGNATURE" for each function definition.
functions() {
    sources "$1" | grep '\.c$' | ctags -f - --sort=no --c-kinds=f --fields=+neS -L - 2>/dev/null | awk -F '\t' -v tree="$1/" '
        {
            line = end = 0; signature = "()"
            for (i = 4; i <= NF; i++) {
                if ($i ~ /^line:/) line = substr($i, 6)
                if ($i ~ /^end:/) end = substr($i, 5)
                if ($i ~ /^signature:/) signature = substr($i, 11)
            }
            sub(tree, "", $2)
            print end - line + 1, $2 ":" line, $1, signature
        }'
}

# parameters SIGNATURE on stdin: adds a count; commas inside parentheses do not count.
check() {
    local tree=$1
    functions "$tree" | awk -v most="$function_max" -v params="$parameter_max" '
        {
            if ($1 > most) print $2 ": " $3 " has " $1 " lines (at most " most ")"
            signature = $0; sub(/^[^(]*/, "", signature); depth = 0; n = 1
            for (i = 1; i <= length(signature); i++) {
                c = substr(signature, i, 1)
                if (c == "(") depth++
                if (c == ")") depth--
                if (c == "," && depth == 1) n++
            }
            if (n > params) print $2 ": " $3 " has " n " parameters (at most " params ")"
        }'
    sources "$tree" | while read -r file; do
        lines=$(wc -l <"$file")
        ((lines <= file_max)) || echo "${file#"$tree"/}: $lines lines (at most $file_max)"
    done
}

{ echo 'int f(int a)'; echo '{'; for _ in $(seq 60); do echo '    a++;'; done; echo '    return a;'; echo '}'; } | sample crdt/x.c
expect 'x.c:1: f has 64 lines'
echo 'int f(int a, int b, int c, int d, int e, int g) { return a+b+c+d+e+g; }' | sample crdt/x.c; expect 'f has 6 parameters'
echo 'int f(int a, void (*g)(int, int, int), int c, int d, int e) { return a; }' | sample crdt/x.c; expect_none
seq 601 | sed 's/.*/int a&;/' | sample net/y.h; expect 'y.h: 601 lines'

functions "$top" | sort -n | awk '
    { n[NR] = $1 } END { if (NR) printf "functions: %d, median %d, 95th percentile %d, longest %d lines\n", NR, n[int((NR + 1) / 2)], n[int(NR * 0.95 + 0.5)], n[NR] }'
sources "$top" | grep '\.c$' | xargs wc -l | grep -v ' total$' | sort -n | awk '
    { n[NR] = $1 } END { if (NR) printf "files: %d, median %d, longest %d lines\n", NR, n[int((NR + 1) / 2)], n[NR] }'
cores=$(sources "$top" | grep '\.c$' | grep -vE '/(uv_[^/]*|rocks|fts|linux_[^/]*|main|dir|cli_[^/]*)\.c$')
# asserted FILE...: says how many assertions there are, and fails where there are too few.
asserted() {
    awk -v least="$asserts_min" '/(^|[^_a-z])assert\(/ { a++ } END {
        printf "assertions in cores: %d in %d lines, %.1f per 1000\n", a, NR, a * 1000 / NR; exit a * 1000 < least * NR }' "$@"
}
{ seq 40 | sed 's/.*/int a&;/'; echo 'assert(a);'; } >"$work/x.c" # 1 in 41 lines
! asserted "$work/x.c" >/dev/null || { echo "self-test: 24 assertions in 1000 lines pass"; exit 1; }
sed -i 1d "$work/x.c" # 1 in 40
asserted "$work/x.c" >/dev/null || { echo "self-test: 25 assertions in 1000 lines do not pass"; exit 1; }
# shellcheck disable=SC2086
asserted $cores || { echo "fewer than $asserts_min per 1000"; exit 1; }
verdict
