#!/usr/bin/env bash
# The command line: every kind of mistake has its exit status and says what to do; every verb has --help; the
# contract's outputs have their shape.
. "$(dirname "$0")/lib.bash"

# try STATUS PATTERN ARG...: the exit status, and a line of stderr that matches.
try() {
    local want=$1 pattern=$2 got
    shift 2
    "$souk" "$@" >"$work/try.out" 2>"$work/try.log" </dev/null
    got=$?
    [[ $got == "$want" ]] || fail "souk $*: status $got, not $want: $(cat "$work/try.log")"
    grep -qE -- "$pattern" "$work/try.log" || fail "souk $*: wanted \"$pattern\": $(cat "$work/try.log")"
}

say "usage"
try 2 'a command is missing; souk --help'
try 2 'unknown command "statsu"; did you mean "souk status"\?' statsu
try 2 'unknown command "peer ad"; did you mean "souk peer add"\?' peer ad x
try 2 'souk peer wants a command after it' peer
try 2 'unknown command "pees"; did you mean "souk peer"\?' pees ls
try 2 'unknown command "xyzzy"; souk --help lists them all' xyzzy
try 2 'unknown command "deplyo"; did you mean "souk deploy"\?' deplyo
try 2 'an argument is missing; usage: souk deploy ID\|NAME' deploy
try 2 'a command is missing: souk deploy NAME' deploy x
try 2 '--mount wants FROM:TO' deploy x --mount a -- cat
try 2 '--env wants NAME=VALUE' deploy --env a x -- cat
try 2 '--memory wants a number from 1' deploy --memory 0 x -- cat
try 2 '--timeout wants a number of seconds' invoke x --timeout soon
try 2 'a blob is named by the 64 hex digits' pull x
try 6 'is not a receipt that holds' receipt verify /dev/null
try 1 'cannot read /nonexistent' receipt verify /nonexistent
try 2 'unknown option --limt; did you mean --limit\?' ls model --limt 3
try 2 'unknown option -x' status -x
try 2 '--dir wants D after it' status --dir
try 2 '--help takes no value|unknown option' status --help=yes
try 2 '-o wants human, json or jsonl, not "xml"' status -o xml
try 2 'an argument is missing; usage: souk get' get model
try 2 '"c" is one argument too many' get model b c
try 2 '"modle" is no kind' get modle x
try 2 '--limit wants a number from 1' ls model --limit 0
try 2 '--limit wants a number' ls model --limit 5x
try 2 '"csv" is no format; the formats are' import csv x
try 2 'the one format of export is jsonl' export csv
try 2 'verify wants KIND and ID' verify model
try 2 'souk help wants man' help me
try 2 'http wants HOST:PORT' run --http 7070
try 2 'peer wants HOST:PORT' run --peer nowhere
try 2 '--set wants KEY=VALUE' run --set cache_mb
try 2 'did you mean "cache_mb"' run --set cach_mb=3
try 2 'history_bodies wants all, the one value that this version knows, not "3"' run --set history_bodies=3
try 2 'advertise is 0\.0\.0\.0:1, where nobody can connect to' run --dir "$work/none" --advertise 0.0.0.0:1
try 2 'an argument is empty; usage: souk get KIND ID\|NAME' get model ''
try 2 'usage: souk version$' version x
try 2 '--mesh wants the 64 hex digits' run --mesh 12
try 2 'give one of them' run --mesh 12 --new-mesh x
try 2 '--admission wants open or members' run --admission closed
try 2 'too long: its admin socket' --dir "/tmp/$(printf 'd%.0s' {1..120})" status
try 2 "a token's id is a number" token rm x
try 2 '--scope is missing' token new
try 2 '--scope wants read, write .* not "read,all"' token new --scope read,all
try 2 '--max-price wants USD per 1,000,000 input tokens, such as 0.5, not "cheap"' search x --max-price cheap
try 2 'the text to search for is not UTF-8' search $'caf\xe9'
try 2 '--tag is not UTF-8' search x --tag $'caf\xe9'
try 2 'the command is not UTF-8' deploy x -- cat $'caf\xe9'
try 2 '--env is not UTF-8' deploy --env A=$'caf\xe9' x -- cat
try 2 '"modle" is no kind to write; these are model, agent and server' put modle x
for verb in "put node x" "rm node x" "writer add node x y" "import jsonl x --kind node"; do
    # shellcheck disable=SC2086
    try 2 "a node's entry is written by that node alone; the kinds to write are" $verb
done
try 2 'a writer is named by its key of 64 hex digits' writer add model x y
try 7 'no node answers on .*; start one with `souk run`' --dir "$work/none" status
try 7 'no node answers' ls model --dir "$work/none" --
for verb in "export jsonl" verify; do
    # shellcheck disable=SC2086
    try 3 'cannot read .*/none/mesh: No such file .*`souk run` or `souk init` makes a data directory' --dir "$work/none" $verb
done
try 1 'cannot read /nonexistent' --dir "$work/none" put model /nonexistent
try 1 'cannot read /nonexistent' --dir "$work/none" import jsonl /nonexistent

say "help, man page, completion"
"$souk" --help | grep -E '^  [a-z]' | sed -E 's/^  ([a-z]+( (ls|add|rm|ban|unban|new|export|import|show|check)\b)?).*/\1/' >"$work/verbs"
[[ $(wc -l <"$work/verbs") -ge 35 ]] || fail "souk --help lists $(wc -l <"$work/verbs") verbs"
while read -r verb; do
    # shellcheck disable=SC2086
    "$souk" $verb --help | found "^Usage: souk $verb" || fail "souk $verb --help"
done <"$work/verbs"
"$souk" peer --help | found 'peer unban' || fail "souk peer --help"
"$souk" help man >"$work/souk.1"
! mandoc -T lint -W warning "$work/souk.1" | grep . || fail "mandoc finds fault with the man page"
while read -r verb; do grep -q "^\.It Cm $verb" "$work/souk.1" || fail "the man page lacks $verb"; done <"$work/verbs"
"$souk" help completion >"$work/completion"
complete() { # WORD...: what bash would offer for the last one
    bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _souk; printf "%s\n" "${COMPREPLY[@]}"' "$work/completion" "$@"
}
complete souk sta | found -x status || fail "completion of a verb"
complete souk peer un | found -x unban || fail "completion of a second word"
complete souk ls model --li | found -x -- --limit || fail "completion of an option"
[[ $("$souk" version) == "souk "* ]] || fail "version"

say "settings without a node"
mkdir -p "$work/c"
printf 'cache_mb = 7\nlogg = info\n' >"$work/c/souk.conf"
try 1 'souk.conf line 2: unknown setting "logg"; did you mean "log"\?' config check --dir "$work/c"
echo 'cache_mb 7' >"$work/c/souk.conf"
try 1 'souk.conf line 1: wants `key = value`, not "cache_mb 7"' config check --dir "$work/c"
"$souk" config check --dir "$work/none" | found "there is no $work/none/souk.conf" || fail "a directory that is not there is in order"
echo 'cache_mb = 7' >"$work/c/souk.conf"
origin() { "$souk" config show -o json --dir "$work/c" | jq -r ".[] | select(.key == \"$1\") | .value + \" \" + .origin"; }
[[ $(origin cache_mb) == '7 souk.conf:1' ]] || fail "$(origin cache_mb)"
[[ $(SOUK_CACHE_MB=9 origin cache_mb) == '9 SOUK_CACHE_MB' ]] || fail "a variable overrides the file"
[[ $(origin http) == '127.0.0.1:7070 default' ]] || fail "$(origin http)"
for value in '' 3 ALL 'all all'; do
    echo "history_bodies = $value" >"$work/c/souk.conf"
    try 1 "souk.conf line 1: history_bodies wants all, the one value that this version knows, not \"$value\"" config check --dir "$work/c"
    try 2 'history_bodies wants all' run --dir "$work/c"
    [[ $(wc -l <"$work/try.log") == 1 ]] || fail "one fault, several messages: $(cat "$work/try.log")"
done
echo 'history_bodies = all' >"$work/c/souk.conf"
"$souk" config check --dir "$work/c" >/dev/null || fail "history_bodies = all"
[[ $(origin history_bodies) == 'all souk.conf:1' ]] || fail "$(origin history_bodies)"
# deploy/souk.conf with its comments taken off is in order, and says the defaults where it says anything.
sed -E 's/^#([a-z])/\1/' "$top/deploy/souk.conf" | grep -vE '^(name|advertise|peer) ' >"$work/c/souk.conf"
"$souk" config check --dir "$work/c" >/dev/null || fail "deploy/souk.conf: $("$souk" config check --dir "$work/c" 2>&1)"
"$souk" config show -o json --dir "$work/c" | jq -r '.[] | .key + " = " + .value' | sort >"$work/c/said"
"$souk" config show -o json --dir "$work/none" | jq -r '.[] | .key + " = " + .value' | sort | cmp - "$work/c/said" || fail "deploy/souk.conf says other defaults"
SOUK_LOG=loud try 1 'SOUK_LOG: log wants one of' config check --dir "$work/c"

say "a directory that cannot be used"
try 1 'cannot make the directory /proc/nothing: .*; --dir names another directory' init --dir /proc/nothing
touch "$work/file"
try 1 'cannot use .*/file: Not a directory; --dir names another directory' init --dir "$work/file"
try 2 'name wants one line of text' init --dir "$work/unmade" --name $'two\nlines'
[[ ! -e $work/unmade ]] || fail "a name that is refused leaves a directory"

say "a directory and its node"
"$souk" init --dir "$work/1" --new-mesh ours --name shelf | found ours || fail "init"
try 4 'souk.conf exists already: change the line `name` in it' init --dir "$work/1" --name other
try 3 'holds no entries yet: no node has run there' export jsonl --dir "$work/1"
try 3 'holds no entries yet' verify --dir "$work/1"
try 4 'belongs to mesh' init --dir "$work/1" --mesh "$(printf '1%.0s' {1..64})"
start 1
try 4 'another souk node is running' run --dir "$work/1" --http 127.0.0.1:0 --listen 127.0.0.1:0
try 4 'another souk node is running' init --dir "$work/1"
mkdir -p "$work/2"
try 1 'cannot listen for HTTP on .*: address already in use; choose another with --http' run --dir "$work/2" --http "$(field 1 http)" --listen 127.0.0.1:0
try 1 'cannot listen on .* for peers: address already in use; choose another with --listen' run --dir "$work/2" --http 127.0.0.1:0 --listen "$(field 1 mesh)"
start 4 --mesh "$(printf '2%.0s' {1..64})"
grep -q 'was given no peer: it waits for one; --peer or `souk peer add`' "$work/4.err" || fail "a node alone in a mesh that it has not met"
stop 4
! grep -q 'was given no peer' "$work/1.err" || fail "a founder waits for nobody"
if [[ $EUID == 0 ]]; then # another user is told so, not that no node runs
    chmod 755 "$work"
    other() { setpriv --reuid 65534 --clear-groups "$souk" --dir "$work/1" "$@" >"$work/try.out" 2>"$work/try.log"; }
    other status
    [[ $? == 5 ]] && grep -q 'this user may not open .*/admin.sock: run souk as root' "$work/try.log" || fail "another user: $(cat "$work/try.log")"
    other export jsonl
    [[ $? == 5 ]] && grep -q 'Permission denied; run souk as its owner or as root' "$work/try.log" || fail "another user: $(cat "$work/try.log")"
    other doctor
    grep -q 'is not for this user' "$work/try.out" || fail "the doctor of another user: $(cat "$work/try.out")"
fi

say "entries"
echo '{"name":"a/b c","description":"x","tags":["one"]}' >"$work/model.json"
id=$(on 1 put model "$work/model.json") || fail "put"
[[ $id =~ ^[0-9a-f]{64}$ ]] || fail "put prints the id alone, not \"$id\""
[[ $(on 1 get model 'a/b c' -o json | jq -r .meta.id) == "$id" ]] || fail "get by name"
[[ $(on 1 get model "$id" -o json | jq -r .model.name) == 'a/b c' ]] || fail "get by id"
try 4 '.' put model "$work/model.json" --create --dir "$work/1"
try 3 'there is no model named "nothing" here; GET /models lists' get model nothing --dir "$work/1"
try 3 'there is no model named "nothing" here' rm model nothing --dir "$work/1"
try 3 'there is no model 1{64} here' history model "$(printf '1%.0s' {1..64})" --dir "$work/1"
printf '{"name":"nul\\u0000"}' >"$work/nul.json"
try 1 'a text holds .u0000, which no field takes' put model "$work/nul.json" --dir "$work/1"
printf '{"name":"large","description":"%s"}' "$(printf 'x%.0s' {1..70000})" >"$work/large.json"
try 1 'more than 65536 bytes' put model "$work/large.json" --dir "$work/1"
echo '{"name":"large","parameters":18446744073709551616}' >"$work/over.json"
try 1 'a number is out of range' put model "$work/over.json" --dir "$work/1"
for verb in "ls model" "status" "version" "config show" "export jsonl" "-o json get model $id"; do
    # shellcheck disable=SC2086
    on 1 $verb >/dev/full 2>"$work/try.log"
    [[ $? == 1 ]] && grep -q 'cannot write to stdout: No space left' "$work/try.log" || fail "$verb into a full device"
done
try 1 'cannot write /dev/full' export jsonl /dev/full --dir "$work/1"

say "peers"
for address in foo host:0 host:99999 "xyz@host:1" ':7071'; do
    try 1 "peer add wants HOST:PORT.*, not \"$address\"" peer add "$address" --dir "$work/1"
done
nobody=$(printf '1%.0s' {1..64})
try 3 "no single peer has an id that starts with \"$nobody\"" peer rm "$nobody" --dir "$work/1"
try 3 'no single peer has an id' peer unban "$nobody" --dir "$work/1"
on 1 peer ban "$nobody" || fail "a key that was never met can be banned"
[[ $(on 1 peer ls -o json | jq -r '.[0] | .state + .id') == "banned$nobody" ]] || fail "peer ls does not show a ban"
on 1 peer unban "${nobody:0:8}" || fail "unban by the first digits"
on 1 peer rm "$nobody" || fail "peer rm"
[[ $(on 1 peer ls -o json | jq length) == 0 ]] || fail "peer ls after rm"
try 1 '"loud" is no level: error, warn, info or debug' log loud --dir "$work/1"
try 3 'there is no author key named "none"' key export none --dir "$work/1"
try 5 'there is no author key named "none" on this node; `souk key ls`' put model "$work/model.json" --as none --dir "$work/1"
try 3 'there is no author key named "none" on this node; `souk key ls`' token new --scope read --as none --dir "$work/1"
try 4 'another key has this name; `souk key ls`' key new publisher --dir "$work/1"
try 3 'nothing is deployed for "a/b c"; `souk deploy ls`' deploy rm 'a/b c' --dir "$work/1"
try 2 'the path of the request would have 5[0-9]* bytes and may have 4096' get model "$(printf 'a%.0s' {1..5000})" --dir "$work/1"
try 3 'there is no model or agent nothing here' invoke nothing --dir "$work/1"
try 3 'no other node whose id starts with "zz"' invoke 'a/b c' --on zz --dir "$work/1"
echo '{"comand":["cat"]}' >"$work/manifest"
try 1 'comand is no member that a manifest has' deploy 'a/b c' --manifest "$work/manifest" --dir "$work/1"
echo '{"name":"x","parameters":-1,"license":7}' >"$work/bad.json"
try 1 '/parameters' put model "$work/bad.json" --dir "$work/1"
grep -q '/license' "$work/try.log" || fail "every field that is wrong is named"
echo '{"name":' >"$work/broken.json"
try 1 '/broken.json is not JSON: line' put model "$work/broken.json" --dir "$work/1"
on 1 get model "$id" -o json | on 1 put model - >/dev/null || fail "put takes what get gives"
[[ $(on 1 ls model -o json | jq length) == 1 ]] || fail "ls -o json is an array"
[[ $(on 1 ls model -o jsonl | wc -l) == 1 ]] || fail "ls -o jsonl is a line each"
[[ $(on 1 ls model --text X -o json | jq length) == 1 && $(on 1 ls model --text nowhere -o json | jq length) == 0 ]] || fail "ls --text"
[[ $(on 1 search 'X' --tag one -o json | jq length) == 1 ]] || fail "search"
on 1 search 'X' --max-price 0.5 >/dev/null || fail "search by price"
[[ $(on 1 search 'X' --kind agent -o json | jq length) == 0 ]] || fail "search of one kind"
try 2 'the kinds that are searched' search x --kind node --dir "$work/1"
[[ $(on 1 search 'X' --tag two -o json | jq length) == 0 ]] || fail "search by tag"

say "import, export"
catalogue 450 >"$work/made.jsonl"
printf '{"kind":"model","model":{"name":""}}\nnot json\n{"kind":"model","model":{"name":"ok","parameters":"many"}}\n' >>"$work/made.jsonl"
on 1 import jsonl "$work/made.jsonl" --dry-run >"$work/dry" 2>/dev/null || fail "dry run"
[[ $(status 1 .entries.model) == 1 ]] || fail "a dry run wrote"
on 1 import jsonl - <"$work/made.jsonl" -o json >"$work/sum" 2>"$work/refused" || fail "import from stdin"
[[ $(jq -c '[.read,.accepted,.refused]' "$work/sum") == '[453,450,3]' ]] || fail "$(cat "$work/sum")"
for line in 451 452 453; do grep -q "^line $line" "$work/refused" || fail "line $line is not reported"; done
grep -q '^line 453: ok: refused: /parameters: ' "$work/refused" || fail "a refusal says name, place and reason"
on 1 ls model --all -o jsonl | wc -l | found -x 451 || fail "ls --all"
[[ $(on 1 ls model 2>&1 >/dev/null) == 'shown: 30 of 451; --all shows every one' ]] || fail "ls does not say that there is more"
[[ $(on 1 search made --limit 2 2>&1 >/dev/null) == 'shown: 2; --limit N '* ]] || fail "search does not say that there is more"
for rest in "--all" "--limit 451" "-o json" "--text X"; do
    # shellcheck disable=SC2086
    [[ -z $(on 1 ls model $rest 2>&1 >/dev/null) ]] || fail "ls $rest says that there is more"
done
on 1 import jsonl <(echo rubbish) --dir "$work/1" >/dev/null 2>&1 && fail "an import that reads nothing fails"
try 1 '/dev/null has no rows: souk import --help' import jsonl /dev/null --dir "$work/1"
try 1 'no row of .*/model.json was taken as mcp-registry; the lines above say why' import mcp-registry "$work/model.json" --dir "$work/1"
on 1 export jsonl "$work/export.jsonl" || fail "export"
[[ $(wc -l <"$work/export.jsonl") == 451 ]] || fail "export has $(wc -l <"$work/export.jsonl") lines"
try 1 'cannot write /dev/full after .* entries: No space left' export jsonl /dev/full --dir "$work/1"
verify_one() { # with a node and without one
    on 1 verify model 'a/b c' >"$work/checks" || fail "verify of one entry"
    grep -q '^ok *signature' "$work/checks" && grep -q '^ok *body hash' "$work/checks" || fail "verify of one entry names its checks"
    [[ $(wc -l <"$work/checks") -lt 30 ]] || fail "verify says the same many times"
    try 3 'there is no entry of this kind and id here' verify model "$nobody" --dir "$work/1"
    try 3 'there is no entry of this kind and id here' verify agent "$id" --dir "$work/1"
    try 3 'there is no model named "nothing" here' verify model nothing --dir "$work/1"
}
verify_one
stop 1
on 1 export jsonl - >"$work/offline.jsonl" || fail "export without a node"
cmp "$work/export.jsonl" "$work/offline.jsonl" || fail "a node and its directory export differently"
try 1 'cannot write /dev/full after .* entries: No space left' export jsonl /dev/full --dir "$work/1"
on 1 verify >/dev/null || fail "verify without a node"
verify_one
start 3
on 3 import jsonl "$work/export.jsonl" >/dev/null || fail "export is imported again"
on 3 export jsonl "$work/again.jsonl"
jq -cS '.model | del(.model_id,.owner_id,.created_at,.updated_at)' "$work/export.jsonl" >"$work/e1"
jq -cS '.model | del(.model_id,.owner_id,.created_at,.updated_at)' "$work/again.jsonl" >"$work/e2"
cmp "$work/e1" "$work/e2" || fail "export and import lose something"

say "on a terminal"
catalogue 4000 | sed 's|made/|shown/|' >"$work/shown.jsonl"
terminal() { script -qec "$1" /dev/null </dev/null | tr '\r' '\n'; }
kill -STOP "${pid[3]}" # the import takes as long as it is looked at
script -qefc "$souk --dir $work/3 import jsonl $work/shown.jsonl" "$work/screen" </dev/null >/dev/null &
import=$!
await 30 "a terminal" test -e "$work/screen"
bar_drawn() { tr '\r' '\n' <"$work/screen" | found -E '^\[#+ *\] +[0-9]+ %  [0-9]+ entries  [0-9]+/s  .* left'; }
await 30 "a bar with its rate and the time left" bar_drawn
kill -CONT "${pid[3]}"
wait $import || fail "the import on a terminal: $(cat "$work/screen")"
grep -q '4000 rows read, 4000 written' "$work/screen" || fail "the bar's end: $(cat "$work/screen")"
terminal "$souk --dir $work/3 ls model" | found $'\033\\[1m' || fail "no bold head on a terminal"
! terminal "NO_COLOR=1 $souk --dir $work/3 ls model" | found $'\033\\[1m' || fail "NO_COLOR is ignored"
! on 3 ls model | found $'\033' || fail "colours outside of a terminal"
"$souk" --dir "$work/3" status -w >"$work/watch" &
watch=$!
drawn_again() { [[ $(grep -c '^entries' "$work/watch") -ge 3 ]]; }
await 15 "status -w draws again" drawn_again
kill $watch
wait $watch 2>/dev/null

say "status, tokens, writers"
on 3 status -o json | jq -e 'has("id") and has("name") and has("mesh_id") and has("version") and has("uptime_s")
    and has("ready") and has("entries") and has("deltas") and has("ops") and has("digest") and has("state_hash") and has("peers")
    and has("store_bytes") and has("conflicts") and has("deferred") and has("rejected")' >/dev/null || fail "status"
token=$(on 3 token new --scope write --name job)
[[ $token =~ ^[!-~]+$ ]] || fail "the token stands alone on its line"
! grep -rq "$token" "$work/3/tokens" || fail "tokens are stored hashed"
post() { curl -sS -o "$work/post" -w '%{http_code}' -H "Authorization: Bearer $1" -d "$2" "http://$(field 3 http)/models"; }
[[ $(post "$token" '{"name":"by-token"}') == 201 ]] || fail "$(cat "$work/post")"
[[ $(post nonsense '{"name":"by-token"}') == 401 ]] || fail "an unknown token"
reader=$(on 3 token new --scope read)
[[ $(post "$reader" '{"name":"by-token"}') == 403 ]] || fail "a read token writes"
kept=$(on 3 token ls -o json | jq -r '.[] | select(.name == "job") | .id')
stop 3
start 3
[[ $(post "$token" '{"name":"by-token","description":"again"}') == 200 ]] || fail "tokens survive a restart"
on 3 token rm "$kept" || fail "token rm"
[[ $(post "$token" '{"name":"by-token"}') == 401 ]] || fail "a removed token"
try 3 'there is no token with the id 99; `souk token ls`' token rm 99 --dir "$work/3"
try 2 '--scope wants read, write' token new --scope all --dir "$work/3"
other=$(on 3 key new other)
on 3 writer add model by-token "$other" || fail "writer add"
[[ $(on 3 writer ls model by-token -o json | jq -r '.[0].key') == "$other" ]] || fail "writer ls"
entry=$(on 3 get model by-token -o json | jq -r .meta.id)
[[ $(code 3 PATCH "/models/$entry" -H 'X-Souk-As: other' -d '{"version":"9"}') == 200 ]] || fail "a writer may write"
on 3 writer rm model by-token "$other" --restate || fail "writer rm"
[[ $(on 3 get model by-token -o json | jq -r .model.version) == 9 ]] || fail "what was restated stays"
[[ $(code 3 PATCH "/models/$entry" -H 'X-Souk-As: other' -d '{"version":"10"}') == 403 ]] || fail "a writer that was removed"
[[ $(stat -c %a "$work/3/admin.sock") == 600 ]] || fail "the admin socket is open to others"
on 3 log debug || fail "log"
on 3 doctor >"$work/doctor" || fail "doctor"
grep -q '^ok *directory' "$work/doctor" && grep -qE '^(ok|warn) +sandbox +(layers seen to work|no layer)' "$work/doctor" || fail "doctor: $(cat "$work/doctor")"
stop 3
