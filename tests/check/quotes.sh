#!/usr/bin/env bash
# A comment that starts `MODEL 4:` or `PROTOCOL 3.2:` quotes that section of crdt/MODEL.md or
# net/PROTOCOL.md word for word; white space, comment stars and the Markdown marks ** and ` are folded.
. "$(dirname "$0")/lib.bash"

# fold: one line of words, without comment marks.
fold() { tr '\n\t' '  ' | sed -E 's/[*`]//g; s/ +/ /g; s/^ //; s/ $//'; }

# quotes FILE: "LINE DOCUMENT SECTION: TEXT" for each quote in a comment.
quotes() {
    awk '
        function flush() { if (text != "") print start " " text; text = "" }
        {
            line = $0
            comment = incomment || line ~ /\/\*/ || line ~ /^[ \t]*\/\//
            if (!comment) { flush(); next }
            body = line
            sub(/^.*\/\*+/, "", body); sub(/^[ \t]*\/\/+/, "", body)
            last = body ~ /\*\//
            sub(/\*\/.*$/, "", body); sub(/^[ \t]*\*+/, "", body)
            gsub(/^[ \t]+|[ \t]+$/, "", body)
            incomment = (incomment || line ~ /\/\*/) && !last
            if (body ~ /^(MODEL|PROTOCOL) [0-9.]+: /) { flush(); start = NR; text = body }
            else if (body == "") flush()
            else if (text != "") text = text " " body
            if (last) flush()
        }
        END { flush() }' "$1"
}

# section FILE NUMBER: that section's text (headings "## 4. Title", "### 3.2 Title").
section() {
    awk -v want="$2" '
        /^#+ / { n = $2; sub(/\.$/, "", n); inside = (n == want || index(n, want ".") == 1) && n ~ /^[0-9.]+$/ }
        inside { print }' "$1"
}

check() {
    local tree=$1 file line document number text source body
    while read -r file; do
        while read -r line document number text; do
            number=${number%:}
            source=$tree/crdt/MODEL.md
            [[ $document == MODEL ]] || source=$tree/net/PROTOCOL.md
            [[ -e $source ]] || { echo "${file#"$tree"/}:$line: quotes $document, which does not exist"; continue; }
            body=$(section "$source" "$number" | fold)
            text=$(fold <<<"$text")
            [[ " $body " == *" $text"* ]] ||
                echo "${file#"$tree"/}:$line: not in $document $number: $text"
        done < <(quotes "$file")
    done < <(sources "$tree")
}

model() { printf '# Model\n## 3. Form\nA is\n**b** and `c`.\n## 4. Who\nOnly the owner writes.\n' | sample crdt/MODEL.md; }
model; echo '/* MODEL 4: Only the owner reads. */' | sample crdt/op.c; expect 'op.c:1: not in MODEL 4'
model; echo '/* MODEL 3: Only the owner writes. */' | sample crdt/op.c; expect 'not in MODEL 3'
echo '/* PROTOCOL 1: x */' | sample net/sync.c; expect 'does not exist'
model; printf '/*\n * MODEL 3: A is b\n * and c.\n *\n * Then our own words.\n */\nint x; // MODEL 4 is near\n' | sample crdt/op.c; expect_none
model; printf 'int x;\n    /* MODEL 4: Only the owner\n     * writes badly. */\n' | sample crdt/op.c; expect 'op.c:2: not in MODEL 4'
[[ -e $top/crdt/MODEL.md || -e $top/net/PROTOCOL.md ]] || { echo 'no document to quote yet'; exit 77; }
verdict
