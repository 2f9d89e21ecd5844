#!/usr/bin/env bash
# same.sh SIM SIM...: one seed gives one trace, in a process of its own each time, with every program named.
# same.sh --compiler CC SIM: the program built anew with another compiler gives the same traces as SIM.
set -euo pipefail

if [[ $1 == --compiler ]]; then
    compiler=$2 sim=$3
    command -v "$compiler" >/dev/null || { echo "skipped: $compiler is not here"; exit 77; }
    top=$(cd "$(dirname "$0")/../.." && pwd)
    build=${SOUK_BUILD:?is set by ctest}/with-$compiler
    CC=$compiler cmake -S "$top" -B "$build" -DCMAKE_BUILD_TYPE=Release >"$build.log" 2>&1 &&
        cmake --build "$build" --target sim -j 2 >>"$build.log" 2>&1 || { tail -30 "$build.log"; exit 1; }
    set -- "$sim" "$build/tests/sim/sim"
fi

for args in '--seed 1 --nodes 12 --minutes 5' '--seed 2 --nodes 24 --minutes 3'; do
    first=
    for sim in "$@"; do
        # shellcheck disable=SC2086
        last=$("$sim" $args | tail -1)
        [[ $last == ok\ * ]] || { echo "$sim $args: $last"; exit 1; }
        [[ ${first:=$last} == "$last" ]] || { printf '%s: two traces\n%s\n%s\n' "sim $args" "$first" "$last"; exit 1; }
    done
    echo "$first"
done
