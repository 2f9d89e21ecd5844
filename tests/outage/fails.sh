#!/usr/bin/env bash
# fails.sh PROGRAM NAME DIR: the broken build must break the promise of the scenario that its .mut file names after #>, and
# nothing else.
set -uo pipefail
[[ -e $3/applied ]] || { cat "$3/missing" 2>/dev/null; echo "the mutation of $2 does not apply: mend its .mut file"; exit 1; }
said=$("$1" "$2" 2>&1)
status=$?
printf '%s\n' "$said"
[[ $status -eq 3 && $said == "promise broken: "*"$(<"$3/expected")"* ]] && { echo "as it should be: the build with a broken $(<"$3/applied") does not pass"; exit 0; }
echo "the scenario $2 ended with status $status on a build that is broken on purpose; wanted: promise broken: ... $(<"$3/expected")"
exit 1
