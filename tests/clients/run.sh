#!/usr/bin/env bash
# Real clients against a real gateway over strict loopback providers: one line a check, exit status 1 if one failed.
# Each Python client is installed by hash into a virtualenv of its own under .clients/, the Node clients with npm ci.
# Nothing but the installation needs a network.
#
#   make test-clients                              all of them
#   make test-clients CLIENTS="openai-2 node"      some
#
# New versions: edit tests/clients/requirements/NAME.in, then tests/clients/lock.sh NAME.
set -euo pipefail
cd "$(dirname "$0")/../.."

clients=${CLIENTS:-openai-2 openai-3 anthropic langchain llama-index instructor pydantic-ai llm openai-suite schemathesis node}
requirements=tests/clients/requirements
chosen=()

install_python() {
    local venv=.clients/$1 lock=$requirements/$1.txt
    cmp -s "$lock" "$venv/installed.txt" && return
    rm -rf "$venv"
    .venv/bin/python -m venv --without-pip "$venv"
    .venv/bin/python -m pip --python "$venv/bin/python" install --quiet --disable-pip-version-check \
        --no-compile --no-deps --require-hashes --requirement "$lock"
    if [ "$1" = openai-suite ]; then  # their tests are in the source distribution only
        .venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary openai \
            --require-hashes --requirement "$requirements/openai-source.txt" --dest "$venv"
    fi
    cp "$lock" "$venv/installed.txt"
}

install_node() {
    local lock=tests/clients/node/package-lock.json
    cmp -s "$lock" tests/clients/node/node_modules/installed.json && return
    npm ci --prefix tests/clients/node --ignore-scripts --no-audit --no-fund --loglevel=error
    cp "$lock" tests/clients/node/node_modules/installed.json
}

for client in $clients; do
    if [ "$client" != node ]; then
        echo "installing $client"
        install_python "$client"
        chosen+=("$client")
    elif command -v npm >/dev/null && command -v node >/dev/null; then
        echo "installing node"
        install_node
        chosen+=(node)
    else
        echo "node           skipped: npm is not installed"
    fi
done
exec .venv/bin/python -m tests.clients.play "${chosen[@]}"
