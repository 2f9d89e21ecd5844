#!/usr/bin/env bash
# fails.sh PROGRAM NAME DIR: the broken build must break a promise of the scenario, and nothing else.
set -uo pipefail
[[ -e $3/applied ]] || { cat "$3/missing" 2>/dev/null; echo "the mutation of $2 does not apply: mend its .mut file"; exit 1; }
"$1" "$2"
status=$?
[[ $status -eq 3 ]] && { echo "as it should be: the build with a broken $(<"$3/applied") does not pass"; exit 0; }
echo "the scenario $2 ended with status $status on a build that is broken on purpose"
exit 1
