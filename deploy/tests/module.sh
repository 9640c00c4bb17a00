#!/bin/sh
# module.sh FOLDER: initialises a module or root and runs its tests; says how it went in one line,
# and everything when it failed.
set -eu

cd "$1"
name=$(basename "$1")
out=$(mktemp)
trap 'rm -f "$out"' EXIT
if terraform init -backend=false -input=false -no-color >"$out" 2>&1 && terraform test -no-color >"$out" 2>&1; then
    echo "  $name: $(grep -E '^Success!' "$out")"
    # For coverage.py --ran: the suites that passed, as paths below aws/.
    if [ -n "${FLORIN_EVIDENCE:-}" ]; then
        sed -n "s,^\(tests/.*\.tftest\.hcl\)\.\.\. pass\$,${PWD##*/aws/}/\1,p" "$out" >>"$FLORIN_EVIDENCE/suites"
    fi
else
    echo "  $name: FAILED"
    cat "$out"
    exit 1
fi
