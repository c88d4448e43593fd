#!/bin/sh
# Resolves pyproject.toml and writes run.txt, slim.txt and test.txt beside this script, every file by hash. The environment
# that resolves is thrown away. model.txt is kept by hand: its one package is installed without its dependencies.
set -eu
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install -q --disable-pip-version-check pip-tools
export CUSTOM_COMPILE_COMMAND="make lock"
compile() {
    "$scratch/venv/bin/pip-compile" -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url \
        --no-emit-find-links --no-emit-trusted-host --build-deps-for editable "$@" pyproject.toml
}
compile -o deploy/locks/run.txt
"$scratch/venv/bin/python" deploy/locks/slim.py <deploy/locks/run.txt >deploy/locks/slim.txt
compile --extra test -c deploy/locks/run.txt -o deploy/locks/test.txt
