"""thriftgate serve · check · keys · ledger verify"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from errno import EADDRINUSE
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from gateway import __version__
from gateway.core.plan import Model
from gateway.core.price_words import price_in_words
from gateway.key_commands import KEY_ERRORS, Said, add_key_commands, minted_keys
from gateway.service_catalog import build_services, key_digests
from gateway.service_report import services_in_words
from gateway.settings import Loaded, load
from gateway.yaml_source import ConfigError

if TYPE_CHECKING:
    from gateway.app import Gateway

OK, FAILED, MISUSED = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 fine, 1 failed while running, 2 the configuration or the command line is wrong."""
    arguments = _parser().parse_args(argv)
    try:
        loaded = load(
            Path(arguments.config),
            host=getattr(arguments, "host", None),
            port=getattr(arguments, "port", None),
            data_dir=getattr(arguments, "data_dir", None),
        )
        status: int = arguments.run(loaded, arguments)
    except ConfigError as error:
        print(f"thriftgate: the configuration cannot be used\n{error}", file=sys.stderr)
        return MISUSED
    except KeyboardInterrupt:
        return OK
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="thriftgate", description="An OpenAI-compatible LLM gateway.")
    parser.add_argument("--version", action="version", version=f"thriftgate {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    config = _config_options()

    serve = commands.add_parser("serve", help="answer requests until stopped", parents=[config])
    serve.add_argument("--host", help="listen here instead of `server.host`")
    serve.add_argument("--port", type=int, help="listen here instead of `server.port`; 0 takes a free one")
    serve.set_defaults(run=_serve)

    check = commands.add_parser("check", help="check the configuration and say what it means", parents=[config])
    check.set_defaults(run=_check)

    keys = commands.add_parser("keys", help="make, list, replace and end the keys of services")
    add_key_commands(keys, config)
    keys.set_defaults(run=_keys)

    ledger = commands.add_parser("ledger", help="what was spent, as it was written down")
    verify = ledger.add_subparsers(required=True, metavar="COMMAND").add_parser(
        "verify",
        help="compare the lines with Redis, and bills with settlements; exit 0 equal, 1 different, 2 unusable",
        parents=[config],
    )
    verify.add_argument(
        "--ledger", metavar="DIR", action="append", type=Path, default=[], help="of another gateway on the same Redis"
    )
    verify.add_argument("--json", action="store_true", help="print a JSON object, money in nano-dollars")
    verify.set_defaults(run=_verify)
    return parser


def _config_options() -> argparse.ArgumentParser:
    """Which configuration: the same for every command."""
    options = argparse.ArgumentParser(add_help=False)
    default = os.environ.get("THRIFTGATE_CONFIG", "config/gateway.yaml")
    options.add_argument("--config", default=default, metavar="FILE", help="default: %(default)s (THRIFTGATE_CONFIG)")
    options.add_argument("--data-dir", metavar="DIR", help="instead of `data_dir` (THRIFTGATE_DATA_DIR)")
    return options


def _keys(loaded: Loaded, arguments: argparse.Namespace) -> int:
    """A new key goes to standard output alone, and what there is to say about it to standard error."""
    try:
        said: Said = arguments.act(loaded, arguments)
    except KEY_ERRORS as error:
        return _refuse(str(error))
    print(*said.lines, sep="\n", file=sys.stdout if said.secret is None else sys.stderr, flush=True)
    if said.secret is not None:
        print(said.secret)
    return OK


def _check(loaded: Loaded, _: argparse.Namespace) -> int:
    """Everything `serve` would refuse, without starting anything."""
    from gateway import app

    try:
        catalogs = app.check(loaded)
    except app.START_ERRORS as error:
        return _refuse(str(error))
    for model in catalogs.chat.models + catalogs.embeddings.models:
        absence = catalogs.chat.absent.get(model.provider)
        print(f"{model.tier:<7} {model.name:<26} {model.provider:<10} {absence or _offer(model)}")
        for line in price_in_words(model.price, time.time()):
            print(f"{'':<8}{line}")
    print("prices in US dollars per million tokens")
    services = build_services(loaded)
    if not services:
        print("no services: keyless access, from this machine only")
    for line in services_in_words(services, key_digests(loaded), minted_keys(loaded), time.time()):
        print(line)
    return OK


def _offer(model: Model) -> str:
    return "present" if model.routed else "present, for who names it"


def _verify(loaded: Loaded, arguments: argparse.Namespace) -> int:
    from gateway.offline.ledger_proof import prove

    status, text = asyncio.run(prove(loaded.settings, arguments.ledger, as_json=arguments.json))
    print(text)
    return status


def _serve(loaded: Loaded, _: argparse.Namespace) -> int:
    started_s = time.monotonic()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    configured = loaded.settings.server
    try:
        listener = _listen(configured.host, configured.port)
    except OSError as error:
        mend = (
            "stop what listens there, or choose another with --port"
            if error.errno == EADDRINUSE
            else "see `server.host`"
        )
        return _refuse(f"cannot listen on {configured.host}:{configured.port}: {error.strerror}; {mend}")
    with closing(listener):
        from gateway import app  # after the port is known to be free: importing takes most of the start

        try:
            gateway = app.Gateway(loaded, lambda line: _say(line, started_s))
        except app.START_ERRORS as error:
            return _refuse(str(error))
        host, port = listener.getsockname()[:2]
        _say(f"listening on http://{host}:{port}/v1; /readyz tells what still loads", started_s)
        server = _Server(_config(gateway, configured.drain_s), gateway.reload_behind)
        server.run(sockets=[listener])
        return OK if server.started else FAILED


class _Server(uvicorn.Server):
    """Reloads on SIGHUP. Ends with status 0 on SIGTERM and SIGINT: uvicorn would raise the signal again after its
    shutdown."""

    def __init__(self, config: uvicorn.Config, reload: Callable[[], None]) -> None:
        super().__init__(config)
        self._reload = reload
        self._has_terminal = sys.stdin is not None and sys.stdin.isatty()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn takes SIGTERM and SIGINT with `signal.signal` and leaves SIGHUP to its default, which ends the
        # process. The loop's own handler runs between two callbacks, so unlike a plain one it may start a task.
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hung_up)
        await super().startup(sockets)
        # What a start leaves behind (124,000 objects: types, prices, routes) does not die. Walking all of it made a
        # full collection, in which nothing streams, take 90 to 280 ms; without it, about 40 (2026-11-23, busy machine).
        gc.collect()
        gc.freeze()

    def _hung_up(self) -> None:
        if self._has_terminal and not sys.stdin.isatty():  # nobody asks for a reload: the terminal was closed
            self.handle_exit(signal.SIGTERM, None)
        else:
            self._reload()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _config(gateway: Gateway, drain_s: float) -> uvicorn.Config:
    """httptools is required: with h11, uvicorn ran a request hidden behind both Content-Length and Transfer-Encoding
    (1 of 8 forms; httptools 0 of 8, 2026-11). So is uvloop: asyncio's own cost 44 ms a keep-alive POST with workers."""
    return uvicorn.Config(
        gateway.asgi,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="error",
        server_header=False,
        timeout_graceful_shutdown=round(drain_s),
    )


def _listen(host: str, port: int) -> socket.socket:
    """Bound here and not by the server, so that a taken port is one clear line. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2_048)
    except OSError:
        listener.close()
        raise
    return listener


def _say(line: str, started_s: float) -> None:
    print(f"[{time.monotonic() - started_s:6.2f} s] {line}", flush=True)


def _refuse(why: str) -> int:
    print(f"thriftgate: {why}", file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    sys.exit(main())
