#!/usr/bin/env bash
# mutate.sh MUT TOP OUT: writes the source that MUT names, broken as it says, to OUT/BASENAME. MUT is the path of the source
# on its first line, then #> and words of the promise that breaks, then one or more of: a line <<<<, the text as it is, a line
# ====, the text as it becomes, a line >>>>.
# Where a text is not found OUT/applied is not written: the test then fails and says so.
set -euo pipefail
mut=$1 top=$2 out=$3
mkdir -p "$out"
rm -f "$out/applied"
echo "a promise that the .mut file does not name (a line that begins with #>)" >"$out/expected"
source='' from='' to='' state=head missing=''
while IFS= read -r line || [[ -n $line ]]; do
    case $state:$line in
        head:'<<<<') state=from from='' to='' ;;
        head:'#> '*) printf '%s' "${line#'#> '}" >"$out/expected" ;;
        head:'#'*|head:'') ;;
        head:*) source=$line; content=$(<"$top/$source") ;;
        from:'====') state=to ;;
        from:*) from+=${from:+$'\n'}$line ;;
        to:'>>>>')
            state=head
            [[ $content == *"$from"* ]] || missing=$from
            content=${content/"$from"/"$to"}
            ;;
        to:*) to+=${to:+$'\n'}$line ;;
    esac
done <"$mut"
printf '%s\n' "$content" >"$out/mutant.c"
if [[ -z $missing ]]; then
    echo "$source" >"$out/applied"
else
    printf '%s: this text is not in %s any more:\n%s\n' "$mut" "$source" "$missing" | tee "$out/missing"
fi
