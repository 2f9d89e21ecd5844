#!/usr/bin/env bash
# No core holds state of its own: no object of a core has a variable in .data or .bss, so many nodes fit in one process.
# Looks at the objects of the build in $SOUK_BUILD; where no sanitizer adds data of its own, both sections must be empty.
. "$(dirname "$0")/lib.bash"
build=${SOUK_BUILD:-$top/build}

# variables FILE...: "FILE: NAME, N bytes in SECTION" for each writable variable that has a name.
variables() {
    objdump -t "$@" | awk '
        /file format/ { file = $1; sub(/:$/, "", file); sub(/.*\//, "", file); next }
        {
            i = index($0, "\t"); if (!i) next
            n = split(substr($0, 1, i - 1), head, " "); section = head[n]
            split(substr($0, i + 1), tail, " "); name = tail[2]
            if (section == "*COM*") { print file ": " name ", a common symbol"; next }
            if (section !~ /^\.(data|bss|tdata|tbss)(\.|$)/ || section ~ /^\.data\.rel\.ro/) next
            if (tail[1] ~ /^0+$/ || name ~ /^(__asan|__odr_asan|__ubsan|\.)/) next
            print file ": " name " in " section
        }'
}

# sections FILE...: every byte, named or not.
sections() {
    size -A "$@" | awk '
        / :$/ { file = $1; sub(/.*\//, "", file) }
        $1 ~ /^\.(data|bss|tdata|tbss)(\.|$)/ && $1 !~ /^\.data\.rel\.ro/ && $2 > 0 { print file ": " $2 " bytes in " $1 }'
}

# check DIR: its objects; "sanitized" says that only named variables count.
sanitized=no
check() {
    local objects
    mapfile -t objects < <(find "$1" -name '*.o' | sort)
    [[ ${#objects[@]} -gt 0 ]] || { echo "no objects in $1"; return; }
    variables "${objects[@]}"
    [[ $sanitized == yes ]] || sections "${objects[@]}"
}

try() { # FLAGS CODE
    mkdir -p "$work/tree"
    # shellcheck disable=SC2086
    printf '%s\n' "$2" | cc $1 -x c -O0 -w -c -o "$work/tree/x.o" -
}
for flags in -O1 '-O1 -fsanitize=address,undefined'; do
    try "$flags" 'static int n; int f(void){return ++n;}'; expect 'x.o: n in .bss'
    try "$flags" 'int table[4] = {1,2,3,4};'; expect 'x.o: table in .data'
    try "$flags" '_Thread_local int n; int f(void){return ++n;}'; expect 'n in .tbss'
    try "$flags" 'int *f(void){static int once = 3; return &once;}'; expect 'once.* in .data'
    sanitized=yes
    try "$flags" 'static const char *const words[] = {"a","b"}; const char *f(int i){return words[i];}'; expect_none
done
sanitized=no
try -O1 'static const char *const words[] = {"a","b"}; const char *f(int i){return words[i];}'; expect_none
grep -q '^SOUK_SANITIZE:BOOL=ON' "$build/CMakeCache.txt" && sanitized=yes

found=0
got=
for core in crdt net store sandbox api market node; do
    [[ -d $build/CMakeFiles/$core.dir ]] || continue
    found=$((found + 1))
    got+=$(check "$build/CMakeFiles/$core.dir")
done
[[ $found -ge 5 ]] || { echo "only $found cores in $build"; exit 1; }
[[ -z $got ]] || { printf '%s\n' "$got"; exit 1; }
echo ok
