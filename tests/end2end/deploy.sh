#!/usr/bin/env bash
# What lies in deploy/ and is not a program: the image installs every library that the program needs and nothing of this
# machine's builds, the unit is one that systemd takes, every shell script passes shellcheck (where these tools are).
. "$(dirname "$0")/lib.bash"
cd "$top"

say "image"
packages=$(sed -n '/apt-get install/,/&&/p' deploy/Dockerfile | tr -s ' \\&' '\n')
image_has() { grep -qx "$1" <<<"$packages"; }
while read -r library; do
    case $library in
    libc.so* | libgcc_s.so* | libstdc++.so* | libm.so* | ld-linux* | libasan.so* | libubsan.so* | libcriterion.so*) continue ;;
    esac
    path=$(ldd "$souk" | awk -v name="$library" '$1 == name { print $3 }')
    package=$(dpkg-query -S "$(readlink -f "$path")" 2>/dev/null || dpkg-query -S "/usr$path" 2>/dev/null || dpkg-query -S "$path")
    package=${package%%:*}
    image_has "$package" || fail "souk needs $library: deploy/Dockerfile does not install $package"
done < <(objdump -p "$souk" | awk '$1 == "NEEDED" { print $2 }')
! image_has libnothing || fail "every package seems to be installed"
grep -qx 'build\*' .dockerignore || fail "a build of this machine would be copied into the image"
while read -r source; do
    [[ -e $source ]] || fail "deploy/Dockerfile copies $source, which is not there"
done < <(awk '$1 == "COPY" && $2 !~ /^--/ { print $2 }' deploy/Dockerfile)
for port in 7070 7071; do
    grep -qE "^EXPOSE .*\b$port\b" deploy/Dockerfile || fail "the image does not expose $port"
done

say "compose"
grep -oE 'souk run .*|command: run .*' deploy/compose.yaml | sed 's/^command: //; s/^souk //' >"$work/commands"
[[ $(wc -l <"$work/commands") == 3 ]] || fail "compose.yaml starts $(wc -l <"$work/commands") nodes"
while read -r line; do # the options are ones that souk run knows
    MESH=$(printf '1%.0s' {1..64})
    eval "set -- $line"
    shift
    "$souk" --help run >/dev/null && "$souk" run "$@" --dir /proc/nothing >"$work/out" 2>&1
    grep -qE 'unknown option|wants|unknown setting|too many' "$work/out" && fail "compose.yaml: souk $line: $(cat "$work/out")"
    grep -q 'cannot make the directory /proc/nothing' "$work/out" || fail "compose.yaml: souk $line: $(cat "$work/out")"
done < <(sed 's/\${MESH:-}/$MESH/' "$work/commands")
if docker compose version >/dev/null 2>&1; then
    docker compose -f deploy/compose.yaml config -q || fail "docker compose finds fault with compose.yaml"
fi

say "unit"
if command -v systemd-analyze >/dev/null; then
    sed "s|/usr/bin/souk|$souk|; /^Documentation=/d" deploy/souk.service >"$work/souk.service"
    systemd-analyze verify "$work/souk.service" >"$work/unit" 2>&1 || fail "$(cat "$work/unit")"
    ! grep -q 'souk.service' "$work/unit" || fail "$(cat "$work/unit")"
    sed -i 's/^Type=notify/Type=notified/' "$work/souk.service"
    systemd-analyze verify "$work/souk.service" 2>&1 | found 'Failed to parse' || fail "a fault in the unit is not found"
fi

say "scripts"
mapfile -t scripts < <(grep -lrE --exclude-dir=.git --exclude-dir='build*' '^#!.*\b(ba)?sh$' . ; ls tests/*/*.bash)
[[ ${#scripts[@]} -ge 20 ]] || fail "only ${#scripts[@]} scripts"
for script in "${scripts[@]}"; do
    [[ $script == *.bash || -x $script ]] || fail "$script cannot be run"
    bash -n "$script" || fail "$script"
done
if command -v shellcheck >/dev/null; then
    shellcheck -x -S warning "${scripts[@]}" || fail "shellcheck"
fi

say "a build without the packages of the tests"
mkdir "$work/pc"
for folder in $(pkg-config --variable pc_path pkg-config | tr : ' '); do
    [[ ! -d $folder ]] || find "$folder" -name '*.pc' ! -name criterion.pc -exec ln -sf -t "$work/pc" {} +
done
configure() { PKG_CONFIG_LIBDIR=$work/pc PKG_CONFIG_PATH='' cmake -S . -B "$@" >"$work/configure" 2>&1; }
configure "$work/plain" || fail "no build without Criterion: $(tail -5 "$work/configure")"
grep -q 'No tests are built: libcriterion-dev is missing' "$work/configure" || fail "nothing is said of the tests"
[[ ! -e $work/plain/tests/Makefile ]] || fail "tests without Criterion"
! configure "$work/asked" -DSOUK_TESTS=ON || fail "tests that were asked for are left out"

say "mistakes at deploy/run and deploy/test"
try() { # STATUS PATTERN COMMAND...
    local want=$1 pattern=$2
    shift 2
    SOUK_BUILD=$build "$@" >"$work/out" 2>&1 </dev/null
    [[ $? == "$want" ]] || fail "$*: $(cat "$work/out")"
    grep -qE -- "$pattern" "$work/out" || fail "$*: $(cat "$work/out")"
}
try 2 'unknown option --nodes; options of souk run come after --' ./deploy/run --nodes 3
try 2 '--mesh wants a number from 1 to 9' ./deploy/run --mesh many
try 2 '--mesh wants a number from 1 to 9' ./deploy/run --mesh
try 0 'deploy/run \[--mesh N\]' ./deploy/run --help
try 2 'http wants HOST:PORT' env SOUK_DIR="$work/1" ./deploy/run -- --http nowhere
