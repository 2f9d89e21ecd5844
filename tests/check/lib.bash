# Shared by the checks of this folder. A check is a function `check TREE` that prints one line for
# every fault it finds and nothing else. Each script first proves on bad samples that it can fail,
# then looks at the real tree.
set -uo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
folders=(crdt net store sandbox api node market)

# sources TREE: the project's C files, without tests.
sources() {
    local f
    for f in "${folders[@]}"; do
        [[ ! -d $1/$f ]] || find "$1/$f" -name '*.[ch]' | sort
    done
}

# sample PATH: writes stdin to PATH in the tree of bad samples.
sample() {
    mkdir -p "$work/tree/$(dirname "$1")"
    cat >"$work/tree/$1"
}

# expect PATTERN: the check on the samples must print a line that matches; then the samples go.
expect() {
    local got
    got=$(check "$work/tree")
    rm -rf "$work/tree"
    grep -qE -- "$1" <<<"$got" && return 0
    printf 'self-test: wanted a fault like "%s", got: %s\n' "$1" "${got:-nothing}"
    exit 1
}

# expect_none: the check on the samples must print nothing.
expect_none() {
    local got
    got=$(check "$work/tree")
    rm -rf "$work/tree"
    [[ -z $got ]] && return 0
    printf 'self-test: wanted no fault, got: %s\n' "$got"
    exit 1
}

# verdict: runs the check on the real tree; exit status 1 if it prints anything.
verdict() {
    local got
    got=$(check "$top")
    [[ -z $got ]] && { echo "ok"; exit 0; }
    printf '%s\n' "$got"
    exit 1
}
