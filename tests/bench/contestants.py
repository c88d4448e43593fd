"""Who is measured: how each is started in front of the mock provider, and what it is asked."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

HERE = Path(__file__).parent
PEERS = HERE.parent.parent / ".peers"
"""Where tests/bench/peers.sh installs the other gateways."""
CHAT = "/v1/chat/completions"
KEY = "sk-bench"
Way = Literal["miss", "hit", "semantic hit", "stream"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one measurement runs: its own folder, the mock's port and the gateway's."""

    folder: Path
    mock_port: int
    port: int

    @property
    def upstream(self) -> str:
        return f"http://127.0.0.1:{self.mock_port}/v1"

    @property
    def state(self) -> Path:
        """Our data directory."""
        return self.folder / "state"


@dataclass(frozen=True, slots=True)
class Contestant:
    """A gateway in one configuration. `command` writes what it needs into the folder of its place.

    `absence` says what is not installed, or None. `paths` are what it is asked for: name of the row, and how.
    `announces`: it takes a port of its own choice, and its log says which. `ready` answers 200 once it has loaded
    everything. `verdict` is the header that says where an answer came from: what each way must find in it is checked.
    """

    name: str
    paths: Mapping[str, Way]
    command: Callable[[Place], list[str]]
    absence: str | None = None
    announces: re.Pattern[str] | None = None
    route: str = CHAT
    model: str = "mock-model"
    ready: str | None = None
    verdict: str | None = None
    headers: Callable[[Place], dict[str, str]] = lambda place: {"Authorization": f"Bearer {KEY}"}
    environ: Mapping[str, str] = field(default_factory=dict)
    warm_up: int = 1_000
    within_s: float = 60.0


VERDICTS: Mapping[Way, str] = {"miss": "miss", "hit": "hit", "semantic hit": "semantic-hit", "stream": "miss"}

CONTROL: Mapping[Way, dict[str, str]] = {
    "miss": {},
    "hit": {},
    "stream": {},
    "semantic hit": {"x-thriftgate-cache": "read-only"},  # one that came too late must not become an exact hit
}


def body(path: Way, model: str) -> str:
    """About 1 kB. Each `@@@@@@@@@@` will be a number of its own, so that no two requests are equal; hits have one."""
    if path == "semantic hit":
        return _json({"model": model, "messages": [{"role": "user", "content": PARAPHRASE}], "temperature": 0})
    request: dict[str, Any] = json.loads((HERE / "wire/body.json").read_text())
    stream = {"stream": True, "stream_options": {"include_usage": True}} if path == "stream" else {}
    text = _json({**request, "model": model, **stream})
    return text.replace("@@@@@@@@@@", "1234567890") if path == "hit" else text


QUESTION = "What does fsync promise a database when it writes its log to a disk?"
PARAPHRASE = "What does fsync promise a database when it writes its log to a disk, please?"
"""About twenty tokens; the mock answers the first of them, and the second is found by its meaning."""


def seed(path: Way, model: str) -> str:
    """What must have been asked before: the same, if it is about nothing else."""
    if path != "semantic hit":
        return body(path, model)
    return _json({"model": model, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0})


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _missing(*paths: Path) -> str | None:
    gone = [str(path.relative_to(PEERS.parent)) for path in paths if not path.exists()]
    return f"{gone[0]} is not there (tests/bench/peers.sh)" if gone else None


def nginx(place: Place) -> list[str]:
    file = place.folder / "nginx.conf"
    file.write_text((HERE / "wire/nginx.conf").read_text().format(**_named(place)))
    return ["nginx", "-e", str(place.folder / "nginx.err"), "-c", str(file)]


def _named(place: Place) -> dict[str, Any]:
    return {"folder": place.folder, "mock_port": place.mock_port, "port": place.port}


def thriftgate(**settings: Any) -> Callable[[Place], list[str]]:
    """The gateway as it is by default, with the mock as its only provider, and these settings."""

    def command(place: Place) -> list[str]:
        price = {"input": 0.15, "output": 0.6, "source": "tests/bench", "checked": "2026-11-23"}
        config = {
            "data_dir": str(place.state),
            "providers": {"mock": {"kind": "openai", "base_url": place.upstream, "api_key": "sk-upstream"}},
            "models": {"mock-model": {"provider": "mock", "tier": "light", "price": price}},
            **settings,
        }
        file = place.folder / "gateway.yaml"
        file.write_text(yaml.safe_dump(config))
        program = str(Path(sys.executable).parent / "thriftgate")
        return [program, "serve", "--config", str(file), "--port", str(place.port)]

    return command


def litellm(place: Place) -> list[str]:
    chosen = {"model": "openai/mock-model", "api_base": place.upstream, "api_key": "sk-upstream"}
    config = {
        "model_list": [{"model_name": "mock-model", "litellm_params": chosen}],
        "litellm_settings": {"cache": True, "cache_params": {"type": "local"}},
    }
    file = place.folder / "litellm.yaml"
    file.write_text(yaml.safe_dump(config))
    program = str(PEERS / "litellm/bin/litellm")
    return [program, "--config", str(file), "--host", "127.0.0.1", "--port", str(place.port), "--num_workers", "1"]


def portkey(place: Place) -> list[str]:
    return ["node", str(PEERS / _PORTKEY), "--headless", f"--port={place.port}"]


def tensorzero(place: Place) -> list[str]:
    file = place.folder / "tensorzero.toml"
    file.write_text((HERE / "wire/tensorzero.toml").read_text().format(**_named(place)))
    program = str(PEERS / "tensorzero/bin/python")
    return [program, str(HERE / "wire/tensorzero_gateway.py"), str(file)]


_PORTKEY = "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
_BUDGETED = [{"name": "bench", "key": KEY, "budget": {"usd": 1_000_000, "tokens": 10**12, "window": "month"}}]
_NO_EMBEDDER = {"embedder": {"engine": "none"}}
_ALL_BUT_MEANING: Mapping[str, Way] = {"exact hit": "hit", "stream": "stream", "miss": "miss"}


def _ours(name: str, paths: Mapping[str, Way], **settings: Any) -> Contestant:
    """Hits come first: what was missed is embedded behind its answer, for seconds after the last of them."""
    return Contestant(name, paths, thriftgate(**settings), ready="/readyz", verdict="x-thriftgate-cache")


CONTESTANTS = (
    Contestant(
        "nginx",
        {"miss": "miss", "stream": "stream"},
        nginx,
        None if shutil.which("nginx") else "nginx is not installed",
    ),
    _ours("Thriftgate", {"exact hit": "hit", "semantic hit": "semantic hit", "stream": "stream", "miss": "miss"}),
    _ours("Thriftgate, no embedder", _ALL_BUT_MEANING, **_NO_EMBEDDER),
    _ours("Thriftgate, hits in Redis", {"exact hit": "hit"}, **_NO_EMBEDDER, cache={"exact": {"memory_bytes": 0}}),
    _ours("Thriftgate, with a budget", _ALL_BUT_MEANING, **_NO_EMBEDDER, services=_BUDGETED),
    _ours("Thriftgate, two workers", {"miss": "miss"}, **_NO_EMBEDDER, server={"workers": 2}),
    Contestant(
        "TensorZero",
        {"miss": "miss", "stream": "stream"},
        tensorzero,
        _missing(PEERS / "tensorzero/bin/python"),
        announces=re.compile(r"listening on http://[^:]+:(\d+)"),
        route="/openai/v1/chat/completions",
        model="tensorzero::model_name::mock-model",
    ),
    Contestant(
        "Portkey",
        {"miss": "miss"},
        portkey,
        _missing(PEERS / _PORTKEY),
        headers=lambda place: {
            "Authorization": f"Bearer {KEY}",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": place.upstream,
        },
    ),
    Contestant(
        "LiteLLM",
        {"miss": "miss", "exact hit": "hit", "stream": "stream"},
        litellm,
        _missing(PEERS / "litellm/bin/litellm"),
        environ={
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # as ours on loopback: nobody is asked
        },
        warm_up=300,
        within_s=120.0,
    ),
)
