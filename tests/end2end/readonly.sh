#!/usr/bin/env bash
# A disk that turns read-only under the node, as ext4 does after an error: writes answer 503 with a problem document,
# readyz fails, reads go on, and after a repair every acknowledged write is there.
if [[ ${1:-} != inside ]]; then
    unshare -m true 2>/dev/null || { echo "needs a mount namespace (root)"; exit 77; }
    exec unshare -m "$0" inside
fi
. "$(dirname "$0")/lib.bash"
PATH=$PATH:/usr/sbin:/sbin
mkdir "$work/1"
truncate -s 128m "$work/image"
if ! mkfs.ext4 -q -F "$work/image" || ! mount -o loop "$work/image" "$work/1"; then
    echo "cannot mount a file system of its own here"
    exit 77
fi
chmod 700 "$work/1"
put() { http 1 POST /models -d "{\"name\":\"$1\"}" -o "$work/answer" -w '%{http_code}'; }

start 1
for i in $(seq 20); do [[ $(put "model-$i") == 201 ]] || fail "a write: $(cat "$work/answer")"; done
mount -o remount,abort "$work/1" || { echo "this kernel does not abort a file system"; exit 77; }
got=$(put refused)
[[ $got == 503 ]] || fail "a read-only disk answers $got: $(cat "$work/answer")"
jq -e '.status == 503 and (.detail | length > 0) and .code' "$work/answer" >/dev/null || fail "no problem document: $(cat "$work/answer")"
[[ $(code 1 GET /readyz) == 503 ]] || fail "readyz on a read-only disk"
for i in $(seq 20); do [[ $(code 1 GET "/models/model-$i") == 200 ]] || fail "reads go on"; done

kill9 1
umount "$work/1" || fail "umount"
e2fsck -fy "$work/image" >/dev/null 2>&1
mount -o loop "$work/image" "$work/1" || fail "mount after the repair"
start 1
for i in $(seq 20); do [[ $(code 1 GET "/models/model-$i") == 200 ]] || fail "model-$i is lost"; done
[[ $(put writable) == 201 ]] || fail "writes again: $(cat "$work/answer")"
on 1 verify || fail "verify"
stop 1
