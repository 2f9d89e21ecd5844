#!/usr/bin/env bash
# Blobs: pushed on one node, fetched by others, from whoever has them; damaged, resumed, deployed.
. "$(dirname "$0")/lib.bash"

start 1
join 2
join 3
await 20 "all are connected" peers_up 1 2
await 20 "all are connected" peers_up 2 2
await 20 "all are connected" peers_up 3 2

head -c 5500000 /dev/urandom | tr x y >"$work/file" # an x is damage wherever it is put
hash=$(on 1 push "$work/file") || fail "push"
[[ $hash =~ ^[0-9a-f]{64}$ ]] || fail "push printed $hash"
[[ $(on 1 push "$work/file") == "$hash" ]] || fail "the same file has another name"

say "from the node that has it"
on 2 pull "$hash" "$work/got" || fail "pull"
cmp "$work/file" "$work/got" || fail "another content"
[[ $(on 2 pull "$hash") == *"/blobs/$hash" ]] || fail "a blob that is here"
on 2 pull "${hash//[0-7]/8}" 2>"$work/err"
[[ $? == 3 ]] || fail "an unknown blob is not exit status 3: $(cat "$work/err")"
on 2 pull xyz 2>/dev/null
[[ $? == 2 ]] || fail "a name that is none"

say "a damaged copy is not taken"
printf 'x' | dd of="$work/1/blobs/$hash" bs=1 seek=3000000 conv=notrunc status=none
on 3 pull "$hash" "$work/got" || fail "node 2 still has it whole"
cmp "$work/file" "$work/got" || fail "damage came through"

say "a part is taken up"
rm "$work/3/blobs/$hash"
head -c 2200000 "$work/file" >"$work/3/blobs/$hash.part"
before=$(status 3 '[.peers[].received_bytes] | add')
on 3 pull "$hash" "$work/got" || fail "resumed"
cmp "$work/file" "$work/got" || fail "a resumed blob differs"
after=$(status 3 '[.peers[].received_bytes] | add')
[[ $((after - before)) -lt 4700000 ]] || fail "$((after - before)) bytes came for what was missing"

say "nobody has it whole"
printf 'x' | dd of="$work/2/blobs/$hash" bs=1 seek=3000000 conv=notrunc status=none
rm "$work/3/blobs/$hash"
on 3 pull "$hash" 2>"$work/err"
[[ $? == 3 ]] || fail "a blob of which all copies are damaged"
grep -q 'of 6 chunks are here' "$work/err" || fail "$(cat "$work/err")"

say "empty and small files"
: >"$work/empty"
printf a >"$work/one"
for f in empty one; do
    on 2 pull "$(on 1 push "$work/$f")" "$work/got" || fail "$f"
    cmp "$work/$f" "$work/got" || fail "$f differs"
done

say "a bound on the disk"
head -c 3000000 /dev/urandom >"$work/large"
hash=$(on 1 push "$work/large")
sed -i '/^limits.blobs_mb/d' "$work/2/souk.conf" 2>/dev/null
echo 'limits.blobs_mb = 8' >>"$work/2/souk.conf"
reread 2
full() { on 2 pull "$hash" 2>"$work/err"; [[ $? != 0 ]] && grep -q 'limits.blobs_mb' "$work/err"; }
full || fail "a pull beyond limits.blobs_mb: $(cat "$work/err")"
[[ ! -e $work/2/blobs/$hash && ! -e $work/2/blobs/$hash.part ]] || fail "it left something behind"
on 2 push "$work/large" >/dev/null 2>"$work/err" && fail "a push beyond limits.blobs_mb"
grep -q 'limits.blobs_mb' "$work/err" || fail "$(cat "$work/err")"
! compgen -G "$work/2/blobs/.push-*" >/dev/null || fail "the push left something behind"
rm "$work/2/blobs/"*
on 2 pull "$hash" >/dev/null || fail "there is room now"

say "a deployment mounts it"
printf 'forty-two' >"$work/answer"
hash=$(on 1 push "$work/answer")
echo '{"name":"oracle"}' | on 2 put model - >/dev/null
if on 2 deploy oracle --allow-weak --output text --mount "blob=$hash:/model/answer" -- cat /model/answer 2>"$work/err"; then
    fail "a blob that is not here was deployed"
fi
grep -q "souk pull $hash" "$work/err" || { grep -qE 'missing|namespace|permitted' "$work/err" && exit 0; fail "$(cat "$work/err")"; }
on 2 pull "$hash" >/dev/null || fail "pull for the deployment"
on 2 deploy oracle --allow-weak --output text --mount "blob=$hash:/model/answer" -- cat /model/answer >/dev/null 2>"$work/err" ||
    { echo "this machine runs no sandbox: $(cat "$work/err")"; exit 0; }
[[ $(on 2 invoke oracle) == forty-two ]] || fail "the blob in the sandbox"
for n in 1 2 3; do stop $n; done
