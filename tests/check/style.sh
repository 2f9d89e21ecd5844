#!/usr/bin/env bash
# What has no place in the tree: work left undone without a number, paths of one machine, tabs and
# trailing blanks, sources without an opening comment, headers without a guard of their own name.
. "$(dirname "$0")/lib.bash"

files() { # TREE: every text file of the project
    if [[ -d $1/.git || -f $1/.git ]] && command -v git >/dev/null; then
        git -C "$1" ls-files | sed "s|^|$1/|"
    else
        find "$1" -type f -not -path '*/.git/*' -not -path '*/build*' | sort
    fi
}

# match PATTERN WHY FILE...
match() {
    local pattern=$1 why=$2
    shift 2
    [[ $# -eq 0 ]] || grep -nHIE -- "$pattern" "$@" 2>/dev/null | sed -E "s|^([^:]*:[0-9]*):.*|\1: $why|"
}

check() {
    local tree=$1 file guard all=() code=() plain=()
    mapfile -t all < <(files "$tree" | grep -vE '/(LICENSE|tests/check/style\.sh|tests/fuzz/corpus/.*)$')
    mapfile -t code < <(printf '%s\n' "${all[@]}" | grep -E '\.[ch]$')
    {
        match '(^|[^A-Za-z])(TODO|FIXME|XXX)($|[^(A-Za-z])' 'undone work without a number: TODO(#12)' "${all[@]}"
        match '(^|[^A-Za-z0-9_./-])/(work|home|root)/' 'a path of one machine' "${all[@]}"
        match '/\.\./shared' 'the data folder is named by SOUK_SHARED alone' "${code[@]}"
        match $'\t' 'a tab' "${code[@]}"
        match '[ ]+$' 'trailing blanks' "${code[@]}"
        match '(^|[^a-z_])(strcpy|strcat|sprintf|gets|strtok|alloca)\(' 'an unbounded call' "${code[@]}"
        mapfile -t plain < <(printf '%s\n' "${code[@]}" | grep -vE '/(crdt/alloc\.c|tests/fuzz/.*|store/rocks\.c)$')
        match '(^|[^a-z_])(malloc|calloc|realloc|strdup|strndup)\(' 'allocates past crdt/alloc.h' "${plain[@]}"
        match '^typedef struct' 'a typedef of a struct' "${code[@]}"
        for file in "${code[@]}"; do
            [[ -e $file ]] || continue
            [[ $(head -c 2 "$file") == '/*' ]] || echo "$file:1: no opening comment"
            if [[ $file == *.h ]]; then
                guard=${file#"$tree"/}
                guard=$(tr 'a-z/.-' 'A-Z___' <<<"${guard##*/}")
                grep -qE "^#ifndef SOUK_[A-Z_]*$guard\$" "$file" || echo "$file:1: the guard is not SOUK_..._$guard"
            fi
        done
    } | sed "s|^$tree/||" | sort -u
}

echo '/* x */ int a; /* TODO later */' | sample crdt/x.c; expect 'x.c:1: undone work'
echo 'see /work/main' | sample deploy/x.md; expect 'a path of one machine'
printf '/* x */\nint  a;\t\n' | sample crdt/x.c; expect 'x.c:2: a tab'
printf '/* x */\nint a; \n' | sample crdt/x.c; expect 'trailing blanks'
printf '/* x */\nvoid *f(void) { return malloc(3); }\n' | sample net/x.c; expect 'allocates past'
printf '/* x */\ntypedef struct x { int a; } y;\n' | sample net/x.c; expect 'typedef'
echo 'int a;' | sample net/x.c; expect 'no opening comment'
printf '/* x */\n#ifndef X_H\n#define X_H\n#endif\n' | sample net/x.h; expect 'guard is not SOUK_..._X_H'
printf '/* x */\n#ifndef SOUK_NET_X_H\n#define SOUK_NET_X_H\n/* TODO(#3): y */\n#endif\n' | sample net/x.h; expect_none
verdict
