#!/usr/bin/env bash
# Installs the gateways that `make bench` compares with, each into a folder of its own under .peers/. They are no
# dependency of anything. LiteLLM is as fast as it gets: byte-compiled, and with the import that it would otherwise try in
# vain for every request. It is 1.104: later ones (seen up to 1.109.1, 2026-11-23) want a certifi that PyPI did not have.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p .peers
PYTHON=${PYTHON:-python3}

virtualenv() {
  [ -x ".peers/$1/bin/python" ] || "$PYTHON" -m venv ".peers/$1"
  ".peers/$1/bin/pip" install -q --disable-pip-version-check "${@:2}"
}

virtualenv litellm 'litellm[proxy]==1.104.0' opentelemetry-sdk
.peers/litellm/bin/python -m compileall -q .peers/litellm/lib >/dev/null || true  # some packages carry files of Python 2
virtualenv tensorzero tensorzero==2026.6.0
if command -v npm >/dev/null; then
  npm install --silent --no-audit --no-fund --prefix .peers/portkey @portkey-ai/gateway@1.15.2
else
  echo "peers: npm is not installed, so Portkey is left out"
fi
