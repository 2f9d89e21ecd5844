#!/usr/bin/env bash
# No core holds state of its own: .data and .bss of every object are empty, so many nodes fit in one
# process. Sanitizers add data of their own, so the objects are compiled here, plainly.
. "$(dirname "$0")/lib.bash"
build=${SOUK_BUILD:-$top/build}

# check DIR: every *.o in it.
check() {
    find "$1" -name '*.o' | sort | while read -r file; do
        size -A "$file" | awk -v file="${file##*/}" '
            $1 ~ /^\.(data|bss|tdata|tbss)(\.|$)/ && $1 !~ /^\.data\.rel\.ro/ && $2 > 0 { print file ": " $2 " bytes in " $1 }'
    done
    find "$1" -name '*.o' | sort | while read -r file; do
        nm "$file" | awk -v file="${file##*/}" '$2 == "C" { print file ": common symbol " $3 }'
    done
}

try() {
    mkdir -p "$work/tree"
    printf '%s\n' "$1" | cc -x c -O0 -w -c -o "$work/tree/x.o" -
}
try 'static int n; int f(void){return ++n;}'; expect 'x.o: 4 bytes in .bss'
try 'int table[4] = {1,2,3,4};'; expect 'x.o: 16 bytes in .data'
try '_Thread_local int n; int f(void){return ++n;}'; expect 'in .tbss'
try 'static const char *const words[] = {"a","b"}; const char *f(int i){return words[i];}'; expect_none

objects=$work/objects
mkdir -p "$objects"
for folder in crdt net store sandbox api market node; do
    for file in "$top/$folder"/*.c; do
        name=${file##*/}
        case $folder/$name in
        */\*.c | */uv_* | store/rocks.c | store/fts.c | sandbox/linux.c | node/main.c | node/cli_* | node/dir.c) continue ;;
        esac
        echo "$file $objects/${folder}_${name%.c}.o"
    done
done >"$work/list"
flags=(-std=c17 -O1 -w -D_GNU_SOURCE -DSOUK_VERSION='"0"' -I"$top" -fPIE)
llhttp=$(sed -nE 's/^LLHTTP_INC:PATH=//p' "$build/CMakeCache.txt" 2>/dev/null)
[[ -z $llhttp ]] || flags+=(-isystem "$llhttp")
while read -r file out; do
    cc "${flags[@]}" -c "$file" -o "$out" || { echo "cannot compile $file"; exit 1; }
done <"$work/list"
[[ -n $(ls "$objects") ]] || { echo "no core objects found"; exit 1; }
got=$(check "$objects")
[[ -z $got ]] || { printf '%s\n' "$got"; exit 1; }
echo ok
