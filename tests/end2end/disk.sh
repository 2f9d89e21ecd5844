#!/usr/bin/env bash
# A full disk: writes answer 507 with a problem document, readyz fails, reads go on, nothing acknowledged is lost, and
# writing works again in the same process once there is room.
if [[ ${1:-} != inside ]]; then
    unshare -m true 2>/dev/null || { echo "needs a mount namespace (root)"; exit 77; }
    exec unshare -m "$0" inside
fi
. "$(dirname "$0")/lib.bash"
mkdir "$work/1"
mount -t tmpfs -o size=48m,mode=700 none "$work/1" || { echo "cannot mount a tmpfs"; exit 77; }

start 1 --set limits.disk_free_mb=0 --set write_buffer_mb=4
put() { # NAME: prints the status, keeps the answer in $work/answer
    http 1 POST /models -d "{\"name\":\"$1\",\"description\":\"$(head -c 2000 /dev/urandom | od -An -tx1 | tr -d ' \n')\"}" -o "$work/answer" -w '%{http_code}'
}
[[ $(put first) == 201 ]] || fail "a write on an empty disk: $(cat "$work/answer")"
echo first >"$work/acknowledged"

echo '{"name":"echo"}' | on 1 put model - >/dev/null || fail "put"
on 1 deploy echo --allow-weak -- cat >/dev/null 2>"$work/deploy.err" && sandbox=1
[[ -n ${sandbox:-} ]] || found -E 'missing|namespace|sandbox|permitted' "$work/deploy.err" || fail "deploy: $(cat "$work/deploy.err")"

say "fill the disk"
head -c 60m /dev/zero >"$work/1/ballast" 2>/dev/null
refused=
for i in $(seq 3000); do
    got=$(put "model-$i")
    if [[ $got == 201 ]]; then
        echo "model-$i" >>"$work/acknowledged"
    else
        refused=$got
        break
    fi
done
[[ $refused == 507 ]] || fail "a full disk answers ${refused:-nothing}: $(cat "$work/answer")"
jq -e '.status == 507 and (.title | length > 0) and (.detail | length > 0) and .type and .code and .request_id' "$work/answer" >/dev/null ||
    fail "no problem document: $(cat "$work/answer")"
[[ $(put another) == 507 ]] || fail "the next write"
[[ $(code 1 GET /readyz) == 503 ]] || fail "readyz on a full disk"
[[ $(code 1 GET /livez) == 200 ]] || fail "livez on a full disk"
[[ $(code 1 GET /models/first) == 200 ]] || fail "reads go on"
if [[ -n ${sandbox:-} ]]; then # the answer of an invoke does not wait until its receipt is on the disk
    [[ $(http 1 POST /models/echo/invoke -d 5 -m 60 -o "$work/answer" -w '%{http_code}') == 200 ]] || fail "an invoke: $(cat "$work/answer")"
    "$souk" receipt verify "$work/answer" >/dev/null || fail "its receipt"
fi
on 1 doctor >"$work/doctor" && fail "doctor finds nothing wrong"
grep -q FAIL "$work/doctor" || fail "doctor does not say what failed"

say "make room"
rm "$work/1/ballast"
ready() { [[ $(code 1 GET /readyz) == 200 ]]; }
await 40 "ready again" ready
[[ $(put after) == 201 ]] || fail "writes again: $(cat "$work/answer")"
echo after >>"$work/acknowledged"
while read -r name; do
    [[ $(code 1 GET "/models/$name") == 200 ]] || fail "$name was acknowledged and is lost"
done <"$work/acknowledged"

stop 1
start 1 --set limits.disk_free_mb=0
while read -r name; do
    [[ $(code 1 GET "/models/$name") == 200 ]] || fail "$name is lost after a restart"
done <"$work/acknowledged"
echo "$(wc -l <"$work/acknowledged") acknowledged writes, all there"
on 1 verify || fail "verify"
stop 1
