#!/usr/bin/env bash
# Resolves the named clients' requirements (all of them without a name) and writes them down by hash; minutes each. The
# environment that resolves is thrown away. The Node clients: `npm install --package-lock-only` in tests/clients/node.
set -euo pipefail
cd "$(dirname "$0")/requirements"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install -q --disable-pip-version-check pip-tools
export CUSTOM_COMPILE_COMMAND="tests/clients/lock.sh"
[ $# -gt 0 ] || set -- *.in
for name in "$@"; do
    name=${name%.in}
    "$scratch/venv/bin/pip-compile" -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url \
        --no-emit-find-links --no-emit-trusted-host -o "$name.txt" "$name.in"
done
