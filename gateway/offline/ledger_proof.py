"""`thriftgate ledger verify`: finds the lines and the Redis of a configuration, compares, and says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import orjson
from redis.exceptions import RedisError

from gateway.adapters.child_process import ChildNotReady
from gateway.adapters.clock import SystemClock
from gateway.adapters.data_dir import DataDir, DataDirError
from gateway.adapters.ledger_estates import worker_folders
from gateway.adapters.ledger_file import ledger_files
from gateway.adapters.redis_client import RedisClient, connect
from gateway.adapters.stale_child import StaleChildAlive, end_all_stale
from gateway.adapters.valkey_child import ValkeyChild, ValkeyMissing, url_of
from gateway.core.budget import Amount
from gateway.core.pricing import from_nano
from gateway.offline.ledger_verify import Report, Unusable, verify
from gateway.settings import Settings

EQUAL, DIFFERENT, UNUSABLE = 0, 1, 2

_PATIENT_S = 10.0
_TRIES = 20


async def prove(settings: Settings, others: Sequence[Path], *, as_json: bool) -> tuple[int, str]:
    """The exit status and what to print. `others` are ledger folders of further gateways on the same Redis."""
    folders = [written for folder in (settings.ledger_folder, *others) for written in _written(folder)]
    try:
        async with _redis_of(settings) as (redis, is_live):
            tries = _TRIES if is_live else 1
            report = await verify(folders, redis, SystemClock().unix_s(), tries=tries)
    except (Unusable, DataDirError, ValkeyMissing, ChildNotReady, StaleChildAlive, OSError, RedisError) as error:
        return UNUSABLE, f"thriftgate: nothing was compared: {error}"
    text = _json(report) if as_json else "\n".join(_words(report))
    return (EQUAL if report.equal else DIFFERENT), text


def _written(folder: Path) -> list[Path]:
    """The folders of a gateway's workers to which anything was written; its own if there is none."""
    return [each for each in (folder, *worker_folders(folder)) if ledger_files(each)] or [folder]


@asynccontextmanager
async def _redis_of(settings: Settings) -> AsyncIterator[tuple[RedisClient, bool]]:
    """A client, and whether a gateway may be writing meanwhile. The Valkey of a stopped gateway runs for as long."""
    if settings.state.redis_url != "embedded":
        async with _connected(settings.state.redis_url) as redis:
            yield redis, True
        return
    if not settings.data_dir.exists():
        raise Unusable(f"there is no data directory {settings.data_dir}; name it with --data-dir")
    try:
        data_dir = DataDir(settings.data_dir)
    except DataDirError:  # a gateway has it, and its Valkey runs
        async with _connected(url_of(settings.data_dir)) as redis:
            yield redis, True
        return
    with data_dir:
        await end_all_stale(data_dir.path)
        valkey = ValkeyChild(data_dir)
        await valkey.start()
        try:
            async with _connected(valkey.url) as redis:
                yield redis, False
        finally:
            await valkey.stop()


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[RedisClient]:
    redis = connect(url, timeout_s=_PATIENT_S)
    try:
        yield redis
    finally:
        await redis.aclose()


def _json(report: Report) -> str:
    days = [{"service": service, "day": day, **asdict(sums)} for (service, day), sums in report.days.items()]
    meters = [asdict(row) for row in report.meters]
    document = {**asdict(report), "equal": report.equal, "meters": meters, "days": days}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def _words(report: Report) -> Iterator[str]:
    yield f"lines: {report.lines}, files: {report.files}, holds open: {report.open_holds}"
    if report.lost_lines:
        yield f"{report.lost_lines} lines were lost while the disk took nothing: what they said is missing below"
    yield from _table(
        ("meter", "tokens", "in Redis", "US dollars", "in Redis", ""),
        [
            (row.meter, *_columns(row.in_ledger, row.in_redis), "" if row.verdict == "equal" else row.verdict)
            for row in report.meters
        ],
    )
    yield from _table(
        ("service and day", "billed", "settled", "untold", "recovered", ""),
        [
            (
                f"{service} {day}",
                _usd(sums.billed_nano_usd),
                _usd(sums.settled_nano_usd),
                _usd(sums.untold_nano_usd),
                _usd(sums.recovered_nano_usd),
                "" if sums.balances else "different",
            )
            for (service, day), sums in report.days.items()
        ],
    )
    for mismatch in report.mismatches:
        told = f"{mismatch.what} of {mismatch.service} was told to cost {_usd(mismatch.told_nano_usd)}"
        yield f"{told}, and {_usd(mismatch.settled_nano_usd)} was settled for it"
    yield "equal" if report.equal else "DIFFERENT"


def _columns(in_ledger: Amount, in_redis: Amount | None) -> tuple[str, str, str, str]:
    if in_redis is None:
        return str(in_ledger.tokens), "-", _usd(in_ledger.nano_usd), "-"
    return str(in_ledger.tokens), str(in_redis.tokens), _usd(in_ledger.nano_usd), _usd(in_redis.nano_usd)


def _usd(nano_usd: int) -> str:
    return f"{from_nano(nano_usd):.9f}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The first column to the left, the others to the right, a blank line before."""
    if not rows:
        return
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    yield ""
    for row in (head, *rows):
        first, *others = (cell.ljust(widths[0]) if at == 0 else cell.rjust(widths[at]) for at, cell in enumerate(row))
        yield "  ".join((first, *others)).rstrip()
