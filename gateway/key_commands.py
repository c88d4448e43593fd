"""`thriftgate keys`: keys are made and ended in the file that a running gateway watches, so it need not be asked."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.adapters.clock import SystemClock
from gateway.adapters.key_file import KeyFile, KeyFileError, KeyRefused
from gateway.core.service_key import ID_FORM, PREFIX, Minted, ServiceKey, id_in
from gateway.settings import Loaded, Settings
from gateway.yaml_source import ConfigError, Problem

KEY_ERRORS = (KeyFileError, KeyRefused)
"""What keeps a key from being made or ended; each message names the mend."""
_DURATION = re.compile(r"([1-9][0-9]{0,6})([smhdw])")
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}


@dataclass(frozen=True, slots=True)
class Said:
    """What a command has to say. `secret` is for standard output alone, so that a script can take it; `lines` tell a
    person about it."""

    lines: tuple[str, ...]
    secret: str | None = None


def add_key_commands(keys: argparse.ArgumentParser, config: argparse.ArgumentParser) -> None:
    """create · list · rotate · revoke, each with the options of `config`.

    Each sets `act`: configuration and arguments → Said. It raises KEY_ERRORS and ConfigError."""
    commands = keys.add_subparsers(required=True, metavar="ACTION")
    create = commands.add_parser("create", help="make a key for a service and show it, this once", parents=[config])
    create.add_argument("service", metavar="SERVICE", help="a name from `services:`")
    create.add_argument("--name", default="", help="what the key is for, e.g. ci")
    create.add_argument(
        "--expires", type=duration_s, metavar="TIME", help="how long it is good, e.g. 90d (default: no end)"
    )
    create.set_defaults(act=_create)
    listed = commands.add_parser("list", help="the keys there are, and which are over", parents=[config])
    listed.set_defaults(act=_list)
    rotate = commands.add_parser(
        "rotate", help="make another key in the place of one, and show it, this once", parents=[config]
    )
    rotate.add_argument("key_id", type=key_id, metavar="KEY_ID", help="as `keys list` shows it")
    rotate.add_argument(
        "--grace",
        type=duration_s,
        default=_UNIT_S["d"],
        metavar="TIME",
        help="how long the old one stays good (default: 24h)",
    )
    rotate.set_defaults(act=_rotate)
    revoke = commands.add_parser("revoke", help="refuse a key from now on", parents=[config])
    revoke.add_argument("key_id", type=key_id, metavar="KEY_ID", help="as `keys list` shows it")
    revoke.set_defaults(act=_revoke)


def duration_s(text: str) -> int:
    """`90d`, `24h`, `15m`, `30s`, `2w` as seconds. Raises what argparse reports."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError("write a whole number and s, m, h, d or w, such as 90d")
    return int(found.group(1)) * _UNIT_S[found.group(2)]


def key_id(text: str) -> str:
    """The id, from any way of writing it: `abcd1234`, `tg-abcd1234`, or the whole key, of which nothing is repeated."""
    named = id_in(text) or text.removeprefix(PREFIX)
    if not re.fullmatch(ID_FORM, named):
        raise argparse.ArgumentTypeError("a key's id has 8 letters and digits; `thriftgate keys list` shows it")
    return named


def minted_keys(loaded: Loaded) -> tuple[ServiceKey, ...]:
    """All there are, oldest first. Raises KeyFileError."""
    return _file(loaded).read()


def _create(loaded: Loaded, arguments: argparse.Namespace) -> Said:
    _must_be_configured(arguments.service, loaded)
    return _shown(_file(loaded).create(arguments.service, arguments.name, arguments.expires))


def _list(loaded: Loaded, _: argparse.Namespace) -> Said:
    keys = minted_keys(loaded)
    if not keys:
        path = loaded.settings.keys_path
        return Said((f"no keys in {path}; make one with `thriftgate keys create SERVICE`",))
    return Said(tuple(_rows(keys, loaded.settings)))


def _rotate(loaded: Loaded, arguments: argparse.Namespace) -> Said:
    file = _file(loaded)
    minted = file.rotate(arguments.key_id, arguments.grace)
    old = next(key for key in file.read() if key.id == arguments.key_id)
    return _shown(minted, f"{old.prefix} is good until {moment(old.expires_s)}")


def _revoke(loaded: Loaded, arguments: argparse.Namespace) -> Said:
    key = _file(loaded).revoke(arguments.key_id)
    since = moment(key.revoked_s)
    return Said((f"{key.prefix} of service {key.service} is revoked since {since}; gateways see it within a second",))


def _file(loaded: Loaded) -> KeyFile:
    return KeyFile(loaded.settings.keys_path, SystemClock())


def _must_be_configured(service: str, loaded: Loaded) -> None:
    """A key of a service that is not there would be refused at the door."""
    known = [known.name for known in loaded.settings.services]
    if service in known:
        return
    where = loaded.source.where(("services",))
    if known:
        raise ConfigError(
            Problem(where, f"there is no service `{service}`", f"use one of {', '.join(known)}, or add it")
        )
    mend = f"add `services: [{{name: {service}}}]`, as config/services.yaml shows"
    raise ConfigError(Problem(where, "no `services:` are configured, and every key belongs to one", mend))


def _shown(minted: Minted, *more: str) -> Said:
    key = minted.key
    good = "without an end" if key.expires_s is None else f"until {moment(key.expires_s)}"
    line = f"{key.prefix} is a key of service {key.service}, good {good}. It is shown this once:"
    return Said((*more, line), minted.secret)


def _rows(keys: tuple[ServiceKey, ...], settings: Settings) -> Iterator[str]:
    now_s = SystemClock().unix_s()
    known = {service.name for service in settings.services}
    yield f"{'KEY':<12} {'SERVICE':<20} {'NAME':<16} {'CREATED':<20} {'EXPIRES':<20} STATE"
    for key in keys:
        state = key.lapse(now_s) or ("good" if key.service in known else "its service is not configured")
        created, expires = moment(key.created_s), moment(key.expires_s)
        yield f"{key.prefix:<12} {key.service:<20} {key.name:<16} {created:<20} {expires:<20} {state}"


def moment(unix_s: int | None) -> str:
    """`2026-11-23T18:00:00Z`; `-` for none."""
    return "-" if unix_s is None else datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
