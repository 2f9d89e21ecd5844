#!/usr/bin/env bash
# The layers of the project: which folder may include which, and which file may meet which outside
# service. The table is the whole rule; a folder that is not in it may include nothing.
. "$(dirname "$0")/lib.bash"

allowed() { # folder of the file -> folders it may include
    case $1 in
    crdt) echo "crdt" ;;
    net) echo "net crdt" ;;
    store) echo "store crdt" ;;
    sandbox) echo "sandbox crdt" ;;
    api) echo "api crdt" ;;
    market) echo "market crdt" ;;
    node) echo "node market api sandbox store net crdt" ;;
    esac
}

# service HEADER: a pattern of the files that may include it; empty for headers that anyone may.
service() {
    case $1 in
    uv.h) echo '/uv_[a-z0-9_]*\.[ch]$' ;;
    rocksdb/*) echo '^store/rocks\.c$' ;;
    sqlite3.h) echo '^store/fts\.c$' ;;
    curl/*) echo '^node/cli_[a-z0-9_]*\.[ch]$' ;;
    llhttp.h) echo '^api/' ;;
    jansson.h) echo '^(api|node)/' ;;
    msgpack.h | msgpack/*) echo '^crdt/' ;;
    seccomp.h | sched.h | sys/prctl.h | sys/mount.h | linux/*) echo '^sandbox/linux_[a-z0-9_]*\.[ch]$' ;;
    pthread.h | threads.h | sys/socket.h | netinet/* | arpa/* | netdb.h | poll.h | sys/epoll.h | sys/un.h | time.h | sys/time.h | fcntl.h | unistd.h | sys/stat.h | dirent.h | signal.h)
        echo '(/uv_[a-z0-9_]*|^store/rocks[a-z_]*|^store/fts|^sandbox/linux_[a-z0-9_]*|^node/main|^node/dir|^node/cli_[a-z0-9_]*)\.[ch]$' ;;
    esac
}

check() {
    local tree=$1 file path folder line header target rule
    while read -r file; do
        path=${file#"$tree"/}
        folder=${path%%/*}
        while IFS=: read -r line header; do
            target=${header%%/*}
            if [[ $header == "\""* ]]; then
                header=${header#\"}
                target=${header%%/*}
                [[ " $(allowed "$folder") " == *" $target "* ]] ||
                    echo "$path:$line: $folder must not include \"$header\""
                [[ -e $tree/$header || $tree != "$top" ]] || echo "$path:$line: no such file: \"$header\" (include from the top)"
            else
                header=${header#<}
                rule=$(service "$header")
                [[ -z $rule || $path =~ $rule ]] || echo "$path:$line: <$header> belongs in $rule"
            fi
        done < <(sed -nE 's/^[ \t]*#[ \t]*include[ \t]*(["<][^">]*)[">].*/\1/;t p;d;:p;=;p' "$file" | paste -d: - -)
    done < <(sources "$tree")
}

echo '#include "net/net.h"' | sample crdt/op.c; expect 'crdt must not include "net/net.h"'
echo '#include "store/store.h"' | sample net/sync.c; expect 'net must not include'
echo '#include "node/node.h"' | sample api/http.c; expect 'api must not include'
echo '#include <uv.h>' | sample net/sync.c; expect '<uv.h> belongs in'
echo '#include <rocksdb/c.h>' | sample store/merge.c; expect '<rocksdb/c.h> belongs in'
echo '#include <sqlite3.h>' | sample api/search.c; expect '<sqlite3.h> belongs in'
echo '  #  include <sched.h>' | sample sandbox/policy.c; expect '<sched.h> belongs in'
echo '#include <time.h>' | sample crdt/hlc.c; expect '<time.h> belongs in'
printf '#include "crdt/id.h"\n#include <uv.h>\n#include <stdint.h>\n' | sample net/uv_tcp.c; expect_none
verdict
