#!/usr/bin/env bash
# Builds the image for real, in both sizes, and runs it for real, on a machine without a container registry (root, Debian,
# a package index and a Debian mirror; some minutes). What stands in for what:
#
#   python:3.11-slim    a Debian 12 of debootstrap with python3 and pip, without documentation, as slim images are
#   docker build, run   buildah and podman, whose containers share the host's network
#
# So it proves the Dockerfile, the locks and the image's own files; not the real base image, and not Docker's engine.
# What it made is kept in THRIFTGATE_IMAGE_TEST_DIR for the next run.
set -euo pipefail
cd "$(dirname "$0")/.."

MAX_FULL_MB=900 MAX_SLIM_MB=250
WORK=${THRIFTGATE_IMAGE_TEST_DIR:-$PWD/.image-test}
BASE=localhost/thriftgate-base:debian12
STORE=(--root "$WORK/storage" --storage-driver "${THRIFTGATE_STORAGE_DRIVER:-overlay}")
FULL_PORT=${THRIFTGATE_IMAGE_TEST_PORT:-4701} SLIM_PORT=$((${THRIFTGATE_IMAGE_TEST_PORT:-4701} + 1))
KEY=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'image-test: %s\n' "$*" >&2; exit 1; }
store() { podman "${STORE[@]}" "$@"; }

install_tools() {
    local missing=()
    for tool in buildah podman runc debootstrap curl; do command -v "$tool" >/dev/null || missing+=("$tool"); done
    [ ${#missing[@]} = 0 ] && return
    say "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

make_base() {
    store image exists "$BASE" && return
    say "a base in place of python:3.11-slim (debootstrap, two minutes)"
    local root=$WORK/rootfs packages=ca-certificates,python3,python3-venv,python3-pip
    rm -rf "$root"
    debootstrap --variant=minbase --include="$packages" bookworm "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$WORK/base.log"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/usr/share/{doc,man,info,locale}
    tar -C "$root" -c --exclude=./dev . | store import --change 'CMD ["/bin/bash"]' - "$BASE" >>"$WORK/base.log" 2>&1
    rm -rf "$root"
}

# How this machine reaches its package index, for the length of the build: pip's configuration and the certificates.
build() {
    say "building $1"
    local volumes=()
    for file in /etc/ssl/certs/ca-certificates.crt /etc/pip.conf; do
        [ -f "$file" ] && volumes+=(-v "$file:$file:ro")
    done
    buildah "${STORE[@]}" bud --isolation chroot --network host --pull-never --format docker --layers "${volumes[@]}" \
        --build-arg "BASE_IMAGE=$BASE" --target "$1" -t "localhost/thriftgate:$1" -f docker/Dockerfile . \
        >"$WORK/build-$1.log" 2>&1 || { tail -20 "$WORK/build-$1.log" >&2; fail "$1 did not build"; }
}

megabytes() { store image inspect --format '{{.Size}}' "$1" | awk '{ printf "%.0f", $1 / 1e6 }'; }

# As a careful operator would: nobody's root, nothing to write to but the data directory, no capability.
run() {
    local name=$1 image=$2 network=$3 address=$4
    shift 4
    store --runtime runc --cgroup-manager cgroupfs run --detach --name "$name" --network "$network" --read-only \
        --tmpfs /tmp --cap-drop all --security-opt no-new-privileges --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 \
        --volume "$name-data:/var/lib/thriftgate" --env "THRIFTGATE_KEY=$KEY" --no-healthcheck "$@" \
        "localhost/thriftgate:$image" serve --host "${address%:*}" --port "${address#*:}" >/dev/null
}

inside() { local name=$1; shift; store --runtime runc --cgroup-manager cgroupfs exec "$name" "$@"; }

# The image's own health check, which Docker would run.
await_health() {
    for _ in $(seq 120); do
        inside "$1" python -m gateway.healthcheck "$2" 2>/dev/null && return
        sleep 0.5
    done
    store logs "$1" >&2
    fail "$1 is not healthy"
}

stop() {
    store --runtime runc --cgroup-manager cgroupfs stop --time 30 "$1" >/dev/null
    local status
    status=$(store inspect --format '{{.State.ExitCode}}' "$1")
    [ "$status" = 0 ] || fail "$1 ended with status $status on SIGTERM"
    store rm "$1" >/dev/null
}

# Prints "CACHE: TEXT" of a chat answer. Further arguments are curl's.
ask() {
    local port=$1 model=$2 question=$3
    shift 3
    curl -sS --fail-with-body --max-time 120 -D "$WORK/headers" "http://127.0.0.1:$port/v1/chat/completions" \
        -H "authorization: Bearer $KEY" -H 'content-type: application/json' "$@" \
        -d "{\"model\": \"$model\", \"max_tokens\": 200, \"messages\": [{\"role\": \"user\", \"content\": \"$question\"}]}" \
        >"$WORK/answer.json" || { cat "$WORK/answer.json" >&2; fail "no answer from port $port"; }
    printf '%s: %s\n' "$(tr -d '\r' <"$WORK/headers" | sed -n 's/^x-thriftgate-cache\(-reason\)\?: *//ip' | paste -sd ' ')" \
        "$(python3 -c 'import json, sys; print(" ".join(json.load(sys.stdin)["choices"][0]["message"]["content"].split())[:70])' <"$WORK/answer.json")"
}

# On a busy machine Redis may take more than its 50 ms or an embedding more than its 30, and that is a miss: ask again, up
# to ten times. In other words each time, so that it cannot be found by the question just asked;
found_by_meaning() {
    local answer
    for end in ", please." " please." ", please!" " please" " !" " ." "," ", thanks." " thanks" "!"; do
        sleep 1  # what was asked before is embedded and stored behind its answer
        answer=$(ask "$1" auto "$2$end")
        case $answer in semantic-hit*) break ;; esac
    done
    printf '%s\n' "$answer"
}

# or without storing the answer.
found_exactly() {
    local answer
    for _ in $(seq 10); do
        answer=$(ask "$1" auto "$2" -H 'x-thriftgate-cache: read-only')
        case $answer in hit*) break ;; esac
    done
    printf '%s\n' "$answer"
}

# How many, once its sums are equal to Redis's.
requests_in_ledger() {
    inside "$1" thriftgate ledger verify | grep -qx equal || fail "the ledger of $1 and its Redis differ"
    inside "$1" sh -c 'cat /var/lib/thriftgate/ledger/*.ndjson' | grep -c '"type":"request"'
}

expect() { printf '%s\n' "$2"; case $2 in "$1"*) ;; *) fail "expected $1" ;; esac; }

clean_up() {
    for name in thriftgate-full thriftgate-slim thriftgate-sidecar; do
        store --runtime runc --cgroup-manager cgroupfs rm --force --time 5 "$name" >/dev/null 2>&1 || true
        store volume rm "$name-data" >/dev/null 2>&1 || true
    done
}

try_full() {
    say "full: nobody's root, read-only, no capabilities"
    run thriftgate-full full host "0.0.0.0:$FULL_PORT"
    await_health thriftgate-full "$FULL_PORT"
    printf 'uid %s; the root is %s\n' "$(inside thriftgate-full id -u)" \
        "$(inside thriftgate-full touch /opt/thriftgate/here 2>/dev/null && echo writable || echo read-only)"
    inside thriftgate-full touch /opt/thriftgate/here 2>/dev/null && fail "the root is writable"
    curl -sSf --retry 120 --retry-delay 1 --retry-all-errors -o /dev/null "http://127.0.0.1:$FULL_PORT/readyz" 2>/dev/null ||
        fail "full is not ready after two minutes"
    local question="Name the capital city of France."
    expect miss "$(ask "$FULL_PORT" auto "$question")"
    expect semantic-hit "$(found_by_meaning "$FULL_PORT" "Name the capital city of France")"
    local before
    before=$(requests_in_ledger thriftgate-full)
    stop thriftgate-full

    say "full: another container on the same volume"
    run thriftgate-full full host "0.0.0.0:$FULL_PORT"
    await_health thriftgate-full "$FULL_PORT"
    [ "$(requests_in_ledger thriftgate-full)" = "$before" ] || fail "it has lost lines of the ledger"
    printf 'the ledger: %s requests, equal to Redis, before and after\n' "$before"
    expect hit "$(found_exactly "$FULL_PORT" "$question")"
}

# It has no model of its own, so it is given the full one's as a provider.
try_slim() {
    say "slim, in front of full"
    cat >"$WORK/front.yaml" <<YAML
include: [gateway.yaml]
providers: {full: {kind: openai, base_url: "http://127.0.0.1:$FULL_PORT/v1", api_key: os.environ/THRIFTGATE_KEY}}
models: {local-model: {provider: full, tier: light, price: free}}
YAML
    chmod 644 "$WORK/front.yaml"
    run thriftgate-slim slim host "0.0.0.0:$SLIM_PORT" --volume "$WORK/front.yaml:/etc/thriftgate/front.yaml:ro" \
        --env THRIFTGATE_CONFIG=/etc/thriftgate/front.yaml
    await_health thriftgate-slim "$SLIM_PORT"
    expect miss "$(ask "$SLIM_PORT" local-model "Name three colours.")"
    expect hit "$(ask "$SLIM_PORT" local-model "Name three colours.")"
    printf 'the ledger: %s requests, equal to Redis\n' "$(requests_in_ledger thriftgate-slim)"
    stop thriftgate-slim
}

# A network namespace with nothing in it but loopback, and an application that enters it, as in compose.sidecar.yaml.
try_sidecar() {
    say "full as a sidecar: keyless, for who shares its network"
    run thriftgate-sidecar full none 127.0.0.1:4000 --env THRIFTGATE_CONFIG=/etc/thriftgate/sidecar.yaml
    await_health thriftgate-sidecar 4000
    store --runtime runc --cgroup-manager cgroupfs run --rm --network container:thriftgate-sidecar \
        --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 --volume "$PWD/docker/sidecar_app.py:/app.py:ro" \
        --env OPENAI_BASE_URL=http://127.0.0.1:4000/v1 --env OPENAI_API_KEY=unused "$BASE" python3 /app.py ||
        fail "the application beside it got no answer"
    stop thriftgate-sidecar
}

[ "$(id -u)" = 0 ] || fail "run it as root: it installs packages and runs containers"
mkdir -p "$WORK"
install_tools
trap clean_up EXIT
clean_up
make_base
build slim
build full
try_full
try_slim
stop thriftgate-full
try_sidecar

say "sizes in MB, the base among them ($(megabytes "$BASE"))"
full=$(megabytes localhost/thriftgate:full) slim=$(megabytes localhost/thriftgate:slim)
printf 'full %s of at most %s\nslim %s of at most %s\n' "$full" $MAX_FULL_MB "$slim" $MAX_SLIM_MB
[ "$full" -lt $MAX_FULL_MB ] && [ "$slim" -lt $MAX_SLIM_MB ] || fail "too large"
