#!/usr/bin/env bash
# The HTTP API of a real node over TCP, as a program meets it: creating, reading, changing and deleting with conditions;
# lists and cursors while the catalogue grows; the change stream and its resumption; tokens for reading; limits.
. "$(dirname "$0")/lib.bash"

start 1
base=http://$(field 1 http)
token=$(on 1 token new --scope write)
auth=(-H "Authorization: Bearer $token")
# ask STATUS CURL-ARGUMENT...: the body goes to $work/body, the head to $work/head.
ask() {
    local want=$1 got
    shift
    got=$(curl -sS -m 120 -o "$work/body" -D "$work/head" -w '%{http_code}' "$@") || fail "curl $*"
    [[ $got == "$want" ]] || fail "$*: $got, not $want: $(cat "$work/body")"
}
body() { jq -r "$1" "$work/body"; }
header() { sed -nE "s/^$1: (.*)\r\$/\1/Ip" "$work/head"; }

say "create, read, change, delete"
ask 201 "${auth[@]}" -d '{"name":"a/b c","model_id":"mine","created_at":5,"usage_count":9,"is_featured":true}' "$base/models"
id=$(body .meta.id)
[[ $(header Location) == "/models/$id" && $(header ETag) == "\"$(body .meta.revision)\"" ]] || fail "$(cat "$work/head")"
[[ $(body '[.model.model_id == .meta.id, .model.usage_count, .model.is_featured] | join(" ")') == 'true 0 false' ]] ||
    fail "what nodes set was taken from a client: $(cat "$work/body")"
[[ $(body .model.created_at) -gt 1700000000 && $(body .meta.created_at) =~ ^20..-..-..T..:..:..\....Z$ ]] || fail "times: $(cat "$work/body")"
jq -e '.meta | has("id") and has("kind") and has("owner") and has("name") and has("revision") and has("created_at") and has("updated_at")
    and has("author") and has("delta") and has("heads") and has("conflicts") and has("incomplete") and has("served_by")' "$work/body" >/dev/null || fail "meta"
etag=$(header ETag)
ask 200 "$base/models/a%2Fb%20c" # decoded after splitting
[[ $(body .meta.id) == "$id" ]] || fail "a name in the path"
ask 304 -H "If-None-Match: $etag" "$base/models/$id"
ask 412 "${auth[@]}" -H 'If-None-Match: *' -d '{"name":"a/b c"}' "$base/models"
ask 200 "${auth[@]}" -d '{"name":"a/b c","description":"again"}' "$base/models"
ask 412 "${auth[@]}" -X PATCH -H "If-Match: $etag" -d '{"version":"2"}' "$base/models/$id"
ask 200 "${auth[@]}" -X PATCH -d '{"version":"2","description":null}' "$base/models/$id"
[[ $(body '.model | .version + .description') == 2 ]] || fail "a merge patch changes and removes: $(cat "$work/body")"
ask 200 "${auth[@]}" -X PUT -H "If-Match: $(header ETag)" -d '{"name":"a/b c","license":"BSD"}' "$base/models/$id"
[[ $(body '.model | .license + .version') == BSD0.1.0 ]] || fail "PUT replaces: $(cat "$work/body")"
ask 200 "$base/models/$id/revisions"
[[ $(body '[.revisions[].verb] | join(" ")') == 'put put put put' ]] || fail "$(cat "$work/body")"
ask 200 "$base/models/$id/revisions/$(body '.revisions[2].op')"
[[ $(body .model.description) == again ]] || fail "an old body"
ask 200 "$base/deltas/$(body .meta.delta)" -H 'Accept: application/msgpack'
cp "$work/body" "$work/delta"
ask 200 "${auth[@]}" -H 'Content-Type: application/msgpack' --data-binary "@$work/delta" "$base/deltas"
[[ $(body .verdict) == known ]] || fail "a delta handed in again"
ask 403 -H "Authorization: Bearer $(on 1 token new --scope invoke)" -X DELETE "$base/models/$id"
ask 204 "${auth[@]}" -X DELETE "$base/models/$id"
ask 404 "$base/models/$id"
# The first byte of a delta behind its array header is its version.
hex=$(od -An -v -tx1 "$work/delta" | tr -d ' \n')
printf "$(sed -E 's/9501c420/9507c420/; s/../\\x&/g' <<<"$hex")" >"$work/newer"
ask 400 "${auth[@]}" -H 'Content-Type: application/msgpack' --data-binary "@$work/newer" "$base/deltas"
[[ $(body '.code + ": " + .detail') == 'unknown_version: the delta was not taken: it is of version 7, and this node knows version 1' ]] ||
    fail "$(cat "$work/body")"
for path in /agents /servers; do
    ask 422 "${auth[@]}" -d '{}' "$base$path"
    [[ $(body '[.errors[].pointer] | index("/name") != null') == true ]] || fail "$path: $(cat "$work/body")"
done
ask 200 "$base/nodes"
ask 200 "$base/nodes/$(body '.nodes[0].meta.id')"
[[ $(body .node.name) == node-1 ]] || fail "$(cat "$work/body")"
ask 422 "${auth[@]}" -d '"text"' "$base/models"
ask 200 "$base/models?nonsense=1&limit=1"
ask 405 -X PUT "$base/models"
[[ $(header Allow) == 'GET, HEAD, POST' ]] || fail "$(cat "$work/head")"

say "lists while the catalogue grows"
catalogue 500 >"$work/made.jsonl"
head -250 "$work/made.jsonl" | on 1 import jsonl - >/dev/null 2>&1 || fail "import"
cursor='' pages=0
: >"$work/seen"
while :; do
    ask 200 "$base/models?limit=40${cursor:+&cursor=$cursor}"
    body '.models[].model.name' >>"$work/seen"
    cursor=$(body '.next_cursor // ""')
    [[ -n $cursor ]] || break
    [[ $cursor =~ ^[A-Za-z0-9_-]+$ ]] || fail "a cursor of other characters: $cursor"
    [[ $((++pages)) != 2 ]] || tail -250 "$work/made.jsonl" | on 1 import jsonl - >/dev/null 2>&1 || fail "import"
done
[[ -z $(sort "$work/seen" | uniq -d) ]] || fail "a list repeats"
[[ -z $(comm -13 <(sort "$work/seen") <(head -250 "$work/made.jsonl" | jq -r .model.name | sort)) ]] || fail "a list skips"
LC_ALL=C sort -c "$work/seen" || fail "a list is not in order"
ask 200 -d '{"query":"MADE catalogue","tags":["t3"],"limit":5}' "$base/models/search"
[[ $(body '.models | length') == 5 && $(body '.models[0] | has("score")') == true ]] || fail "$(cat "$work/body")"
ask 200 "$base/models?tag=t3&limit=1"
[[ $(body .total) == 72 ]] || fail "total is $(body .total)"
ask 400 "$base/models?cursor=abc"

say "changes"
ask 200 "$base/changes?limit=3"
[[ $(body '.changes | length') == 3 && $(body '.changes[0] | has("cursor") and has("kind") and has("id") and has("revision") and has("verb")') == true ]] ||
    fail "$(cat "$work/body")"
last=$(body .next_cursor)
curl -sSN -m 600 -H 'Accept: text/event-stream' -H "Last-Event-ID: $last" "$base/changes" >"$work/events" 2>/dev/null &
stream=$!
whole() { awk '{ part = part $0 "\n" } /^$/ { printf "%s", part; part = "" }' "$work/events"; } # events that came to their end
told() { whole | sed -n 's/^data: //p' | jq -r .id; }
before() { [[ $(told | wc -l) -ge $1 ]]; }
await 20 "the stream tells what came before" before 490
ask 201 "${auth[@]}" -d '{"name":"live"}' "$base/models"
live=$(body .meta.id)
tells_live() { told | found -x "$live"; }
await 20 "the stream tells what comes" tells_live
kill $stream
wait $stream 2>/dev/null
whole | sed -n 's/^id: //p' >"$work/ids"
[[ $(wc -l <"$work/ids") == "$(told | wc -l)" ]] || fail "an event without an id"
[[ $(sort "$work/ids" | uniq -d | wc -l) == 0 ]] || fail "the stream repeats"
at=$(told | grep -nx "$live" | tail -n 1 | cut -d: -f1)
ask 200 "$base/changes?since=$(sed -n "$((at - 1))p" "$work/ids")"
[[ $(body '.changes[0].id') == "$live" ]] || fail "a stream's id is a cursor: $(cat "$work/body")"

say "limits"
printf '{"name":"large","description":"%s"}' "$(printf 'x%.0s' {1..70000})" >"$work/large"
ask 413 "${auth[@]}" -d "@$work/large" "$base/models"
ask 413 "${auth[@]}" -H 'Expect: 100-continue' -d "@$work/large" "$base/models"
ask 431 -H "X-Long: $(printf 'x%.0s' {1..17000})" "$base/models"
ask 201 "${auth[@]}" -H 'Expect: 100-continue' -d '{"name":"expected"}' "$base/models"
curl -sS -m 120 "$base/livez" "$base/readyz" "$base/healthz" -w '%{http_code} %{num_connects}\n' >"$work/body"
[[ $(grep -c '^200 ' "$work/body") == 3 && $(grep -c '^200 0' "$work/body") == 2 ]] || fail "keep-alive: $(cat "$work/body")"
address=${base#http://}
exec 3<>"/dev/tcp/${address%:*}/${address#*:}"
printf 'GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: a\r\n\r\nHEAD /models HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' >&3
timeout 120 cat <&3 >"$work/piped"
exec 3>&-
[[ $(grep -aoE '^HTTP/1.1 [0-9]+' "$work/piped" | tr '\n' ' ') == 'HTTP/1.1 200 HTTP/1.1 404 HTTP/1.1 200 ' ]] || fail "pipelining: $(cat "$work/piped")"
stop 1

say "reading with tokens"
start 1 --set read_auth=token
base=http://$(field 1 http)
ask 401 "$base/models"
ask 200 "${auth[@]}" "$base/models/expected" # write includes read
ask 200 -H "Authorization: Bearer $(on 1 token new --scope read)" "$base/models?limit=1"
ask 403 -H "Authorization: Bearer $(on 1 token new --scope invoke)" "$base/models"
ask 200 "$base/livez"
stop 1
