"""thriftgate serve · check · explain · train-router · keys · top · ledger verify"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from errno import EADDRINUSE
from pathlib import Path

from gateway import __version__
from gateway.core.plan import Model
from gateway.core.price_words import price_in_words
from gateway.http_server import HttpServer, listen, listen_together
from gateway.key_commands import KEY_ERRORS, Said, add_key_commands, minted_keys
from gateway.service_catalog import build_services, key_digests, review_terms
from gateway.service_report import review_in_words, services_in_words
from gateway.settings import Loaded, Settings, load
from gateway.yaml_source import ConfigError

OK, FAILED, MISUSED = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 fine, 1 failed while running, 2 the configuration or the command line is wrong."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments) if arguments.alone else arguments.run(_loaded(arguments), arguments)
    except ConfigError as error:
        print(f"thriftgate: the configuration cannot be used\n{error}", file=sys.stderr)
        return MISUSED
    except KeyboardInterrupt:
        return OK
    return status


def _loaded(arguments: argparse.Namespace) -> Loaded:
    return load(
        Path(arguments.config),
        host=getattr(arguments, "host", None),
        port=getattr(arguments, "port", None),
        workers=getattr(arguments, "workers", None),
        data_dir=getattr(arguments, "data_dir", None),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="thriftgate", description="An OpenAI-compatible LLM gateway.")
    parser.set_defaults(alone=False)  # True: the command reads no configuration
    parser.add_argument("--version", action="version", version=f"thriftgate {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    config = _config_options()

    serve = commands.add_parser("serve", help="answer requests until stopped", parents=[config])
    serve.add_argument("--host", help="listen here instead of `server.host`")
    serve.add_argument("--port", type=int, help="listen here instead of `server.port`; 0 takes a free one")
    serve.add_argument("--workers", metavar="N", help="so many processes, or `auto`, instead of `server.workers`")
    serve.set_defaults(run=_serve)

    check = commands.add_parser("check", help="check the configuration and say what it means", parents=[config])
    check.set_defaults(run=_check)

    keys = commands.add_parser("keys", help="make, list, replace and end the keys of services")
    add_key_commands(keys, config)
    keys.set_defaults(run=_keys)

    explain = commands.add_parser(
        "explain", help="which model a prompt would be sent to, and why; asks nobody", parents=[config]
    )
    _add_explain_options(explain)
    explain.set_defaults(run=_explain)

    _add_top(commands)
    _add_train_router(commands, config)

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


def _add_top(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    top = commands.add_parser("top", help="what a running gateway spends and saves, live; THRIFTGATE_KEY has the key")
    url = os.environ.get("THRIFTGATE_URL", "http://127.0.0.1:4000")
    top.add_argument("--url", default=url, help="of the gateway; default: %(default)s (THRIFTGATE_URL)")
    top.add_argument("--service", metavar="NAME", help="only this one's figures")
    top.add_argument("--every", type=float, default=2.0, metavar="SECONDS", help="default: %(default)s")
    top.add_argument("--once", action="store_true", help="print once and end; as without a terminal")
    top.set_defaults(run=_top, alone=True)


def _add_train_router(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], config: argparse.ArgumentParser
) -> None:
    train = commands.add_parser(
        "train-router", help="new weights for `routing.weights` from feedback; switches nothing", parents=[config]
    )
    train.add_argument("--from-ledger", action="store_true", required=True, help="from what this gateway has written")
    train.add_argument("--ledger", metavar="DIR", type=Path, help="another folder than that of the data directory")
    train.add_argument("--service", metavar="NAME", help="from this one's feedback only")
    train.add_argument(
        "--out", metavar="FILE", type=Path, default=Path("router_weights.npz"), help="default: %(default)s"
    )
    train.set_defaults(run=_train_router)


def _add_explain_options(explain: argparse.ArgumentParser) -> None:
    what = explain.add_mutually_exclusive_group(required=True)
    what.add_argument("prompt", metavar="PROMPT", nargs="?", help="what a user says")
    what.add_argument("--request", metavar="FILE", help="a chat completions request as JSON; - is standard input")
    explain.add_argument("--model", default="auto", help="with a prompt: auto, auto:light, a model (default: auto)")
    explain.add_argument("--service", metavar="NAME", help="whose (default: the only one, or everybody's)")
    explain.add_argument("--weights", metavar="FILE", type=Path, help="by these weights, compared with the configured")
    explain.add_argument("--json", action="store_true", help="print a JSON object, as POST /v1/thriftgate/explain does")


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
    from gateway.routing_policies import Router

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
    router = Router(loaded)
    services = build_services(loaded, router.policy)
    print(f"auto: routing by {router.policy(loaded.settings.routing)}")
    print(f"review: {review_in_words(review_terms(loaded.settings.review))}")
    if not services:
        print("no services: keyless access, from this machine only")
    for line in services_in_words(services, key_digests(loaded), minted_keys(loaded), time.time()):
        print(line)
    print(_workers_in_words(loaded.settings))
    return OK


def _workers_in_words(settings: Settings) -> str:
    count, memory_mib = settings.server.worker_count, settings.cache.exact.memory_bytes / 2**20
    if count == 1:
        return "one process answers"
    return f"{count} processes answer, each with {memory_mib:g} MiB of cached answers and an embedder of its own"


def _offer(model: Model) -> str:
    return "present" if model.routed else "present, for who names it"


def _explain(loaded: Loaded, arguments: argparse.Namespace) -> int:
    from gateway.explain_command import EXPLAIN_ERRORS, explain

    try:
        print(explain(loaded, arguments))
    except ConfigError:
        raise
    except EXPLAIN_ERRORS as error:
        return _refuse(str(error))
    return OK


def _top(arguments: argparse.Namespace) -> int:
    from gateway.top_command import Source, top

    source = Source(arguments.url, os.environ.get("THRIFTGATE_KEY") or None, arguments.service)
    return top(source, once=arguments.once, every_s=max(0.2, arguments.every))


def _train_router(loaded: Loaded, arguments: argparse.Namespace) -> int:
    from gateway.offline.train_from_ledger import NothingLearned, train_from_ledger
    from gateway.routing_policies import Router

    ledger = arguments.ledger or loaded.settings.ledger_folder
    try:
        trained = train_from_ledger(ledger, arguments.out, Router(loaded).weights, arguments.service)
    except (NothingLearned, OSError) as error:
        return _refuse(str(error))
    print(*trained.report, sep="\n")
    return OK


def _verify(loaded: Loaded, arguments: argparse.Namespace) -> int:
    from gateway.offline.ledger_proof import prove

    status, text = asyncio.run(prove(loaded.settings, arguments.ledger, as_json=arguments.json))
    print(text)
    return status


def _serve(loaded: Loaded, _: argparse.Namespace) -> int:
    started_s = time.monotonic()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    configured = loaded.settings.server
    count = configured.worker_count
    with ExitStack() as stack:
        try:
            if count == 1:
                listeners = [listen(configured.host, configured.port)]
            else:
                listeners = listen_together(configured.host, configured.port, count)
        except OSError as error:
            mend = (
                "stop what listens there, or choose another with --port"
                if error.errno == EADDRINUSE
                else "see `server.host`"
            )
            return _refuse(f"cannot listen on {configured.host}:{configured.port}: {error.strerror}; {mend}")
        for listener in listeners:
            stack.callback(listener.close)
        serve = _serve_here if count == 1 else _supervise
        return serve(loaded, listeners, lambda line: _say(line, started_s))


def _serve_here(loaded: Loaded, listeners: Sequence[socket.socket], say: Callable[[str], None]) -> int:
    """In this process."""
    from gateway import app  # after the port is known to be free: importing takes most of the start

    try:
        gateway = app.Gateway(loaded, say)
    except app.START_ERRORS as error:
        return _refuse(str(error))
    say(_listening(listeners))
    server = HttpServer(gateway.front, loaded.settings.server.drain_s, gateway.reload_behind)
    server.run(sockets=[*listeners])
    return OK if server.started else FAILED


def _supervise(loaded: Loaded, listeners: Sequence[socket.socket], say: Callable[[str], None]) -> int:
    """In processes that are kept alive here."""
    from gateway import supervisor

    say(_listening(listeners))
    try:
        failed = supervisor.supervise(loaded, listeners, say)
    except supervisor.START_ERRORS as error:
        return _refuse(str(error))
    return OK if failed is None else _refuse(failed)


def _listening(listeners: Sequence[socket.socket]) -> str:
    host, port = listeners[0].getsockname()[:2]
    workers = f", workers: {len(listeners)}" if len(listeners) > 1 else ""
    return f"listening on http://{host}:{port}/v1{workers}; /readyz tells what still loads"


def _say(line: str, started_s: float) -> None:
    print(f"[{time.monotonic() - started_s:6.2f} s] {line}", flush=True)


def _refuse(why: str) -> int:
    print(f"thriftgate: {why}", file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    sys.exit(main())
