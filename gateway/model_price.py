"""What a model's row says it costs, as a `Price`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time

from gateway.core.pricing import FREE, Change, LongContext, Peak, Price, Rates
from gateway.model_settings import WEEK, DatedUsd, GpuHour, ListUsd, LongContextUsd, PeakUsd, PriceUsd, RatesUsd
from gateway.yaml_source import KeyPath, Source


def written_price(row: PriceUsd, path: KeyPath, source: Source, listed: Price | None, today: date) -> Price | None:
    """The price that stands at `path` of the configuration. Until the day of its first dated row comes, the `listed`
    price holds; None: nobody quotes one for today.
    """
    if row == "free":
        return replace(FREE, source=source.where(path))
    if isinstance(row, GpuHour):
        rates = Rates.of_gpu_hour(row.hour_usd, row.prompt_tokens_per_s, row.output_tokens_per_s)
        by = "by the GPU hour" if row.gpu_hour_usd is not None else "by its power"
        return Price(rates, source=f"{source.where(path)}, {by}", hour_usd=row.hour_usd)
    if isinstance(row, ListUsd):
        return _price(row, source.where(path))
    changes = tuple(_change(dated, source.where((*path, at))) for at, dated in enumerate(row))
    if row[0].from_ <= today:
        return replace(changes[0].price, changes=changes[1:])
    return _until(changes, listed) if listed else None


def _until(changes: tuple[Change, ...], listed: Price) -> Price:
    """The listed price with its own changes, until the first of ours."""
    earlier = tuple(change for change in listed.changes if change.from_s < changes[0].from_s)
    return replace(listed, changes=earlier + changes)


def _change(row: DatedUsd, where: str) -> Change:
    return Change(datetime.combine(row.from_, time(), UTC).timestamp(), _price(row, where))


def _price(row: ListUsd, where: str) -> Price:
    read = ", ".join(map(str, filter(None, (row.source, row.checked))))
    return Price(
        _rates(row),
        _steps(row.long_context),
        tuple(map(_peak, row.peaks)),
        Price(_rates(row.batch), _steps(row.batch.long_context)) if row.batch else None,
        source=f"{where}: {read}" if read else where,
    )


def _steps(rows: Iterable[LongContextUsd]) -> tuple[LongContext, ...]:
    return tuple(LongContext(row.over_tokens, _rates(row)) for row in rows)


def _peak(row: PeakUsd) -> Peak:
    start_minute, end_minute = row.hours
    return Peak(start_minute, end_minute, _rates(row), frozenset(map(WEEK.index, row.weekdays)))


def _rates(row: RatesUsd) -> Rates:
    return Rates(
        row.input,
        row.output,
        row.cache_read,
        row.cache_write,
        row.cache_write_1h,
        row.audio_input,
        row.audio_output,
    )
