from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.core.pricing import EVERY_DAY, FREE, WEEKDAYS, Change, LongContext, Peak, Price, Rates
from gateway.core.usage import Usage
from gateway.model_price import written_price
from gateway.settings import load
from gateway.yaml_source import ConfigError, Problem

TODAY = date(2026, 11, 23)
LISTED = Price(Rates(Decimal(7), Decimal(7)), changes=(Change(0.0, FREE), Change(4e9, FREE)), source="a list")
PATH = ("models", "m", "price")
READ = "source: here, checked: 2026-11-23"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.yaml"


def write(file: Path, price: str) -> None:
    lines = f"      {price}".replace("\n", "\n      ")
    file.write_text(
        "providers:\n  p: {kind: llamacpp, model: m}\nmodels:\n  m:\n    provider: p\n    tier: light\n"
        f"    price:\n{lines}\n"
    )


def priced(file: Path, price: str, listed: Price | None = None, today: date = TODAY) -> Price | None:
    """What the gateway makes of a price written on line 8."""
    write(file, price)
    loaded = load(file, {})
    row = loaded.settings.models["m"].price
    assert row is not None
    return written_price(row, PATH, loaded.source, listed, today)


def problem(file: Path, price: str) -> Problem:
    write(file, price)
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    (found,) = caught.value.problems
    return found


def rates(*usd: str) -> Rates:
    return Rates(*map(Decimal, usd))


def midnight_s(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def test_free_is_free(file: Path) -> None:
    assert priced(file, "free") == FREE


def test_every_rate_reaches_the_price(file: Path) -> None:
    written = "{input: 1, output: 2, cache_read: 3, cache_write: 4, cache_write_1h: 5, audio_input: 6, audio_output: 7}"
    assert priced(file, written) == Price(rates("1", "2", "3", "4", "5", "6", "7"))


def test_steps_peaks_and_batches_reach_the_price(file: Path) -> None:
    written = (
        "input: 1\n"
        "output: 2\n"
        "long_context: [{over_tokens: 100, input: 3, output: 4}]\n"
        "peaks:\n"
        '- {hours: "01:00-04:00", weekdays: [mon, tue, wed, thu, fri], input: 5, output: 6}\n'
        '- {hours: "23:30-24:00", input: 7, output: 8}\n'
        "batch: {input: 0.5, output: 1, long_context: [{over_tokens: 100, input: 1.5, output: 2}]}\n"
    )
    assert priced(file, written) == Price(
        rates("1", "2"),
        (LongContext(100, rates("3", "4")),),
        (Peak(60, 240, rates("5", "6"), WEEKDAYS), Peak(1_410, 1_440, rates("7", "8"), EVERY_DAY)),
        Price(rates("0.5", "1"), (LongContext(100, rates("1.5", "2")),)),
    )


def test_a_price_says_in_which_file_and_line_it_stands_and_where_it_was_read(file: Path) -> None:
    plain, read = priced(file, "{input: 1, output: 2}"), priced(file, f"{{input: 1, output: 2, {READ}}}")
    assert plain is not None
    assert read is not None
    assert plain.source == f"{file}:7"
    assert read.source == f"{file}:7: here, 2026-11-23"


DATED = (
    f"- {{from: 2026-11-01, input: 1, output: 2, {READ}}}\n"
    f"- {{from: 2026-12-01, input: 3, output: 4, {READ}}}\n"
    f"- {{from: 2027-01-01, input: 5, output: 6, {READ}}}"
)


def test_a_dated_row_takes_over_at_its_midnight_by_itself(file: Path) -> None:
    price = priced(file, DATED)
    assert price is not None
    for day, usd in [(date(2026, 10, 1), 1), (date(2026, 12, 1), 3), (date(2027, 1, 1), 5), (date(2030, 1, 1), 5)]:
        assert price.cost(Usage(1_000_000), midnight_s(day)) == usd
    assert price.cost(Usage(1_000_000), midnight_s(date(2026, 12, 1)) - 1) == 1


def test_a_dated_row_says_its_own_line(file: Path) -> None:
    price = priced(file, DATED)
    assert price is not None
    assert price.in_force(midnight_s(date(2026, 12, 2))).source == f"{file}:9: here, 2026-11-23"


def test_the_list_holds_until_the_first_row_of_ours(file: Path) -> None:
    price = priced(file, DATED, LISTED, today=date(2026, 10, 31))
    assert price is not None
    assert (price.rates, price.source) == (LISTED.rates, "a list")
    assert [change.from_s for change in price.changes] == [
        0.0,  # the list's own, before ours; the one after ours is not the list's to say any more
        *(midnight_s(day) for day in (date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1))),
    ]


def test_rows_that_are_yet_to_come_are_no_price_for_today(file: Path) -> None:
    assert priced(file, DATED, None, today=date(2026, 10, 31)) is None
    assert priced(file, DATED, None, today=date(2026, 11, 1)) is not None


def test_an_hour_of_your_own_hardware_costs_what_it_draws(file: Path) -> None:
    drawn = priced(file, "{watt: 500, kwh_usd: 0.3, prompt_tokens_per_s: 2000, output_tokens_per_s: 50}")
    rented = priced(file, "{gpu_hour_usd: 0.15, prompt_tokens_per_s: 2000, output_tokens_per_s: 50}")
    assert drawn == rented
    assert drawn is not None
    assert (drawn.hour_usd, drawn.source.endswith(":7, by its power")) == (Decimal("0.15"), True)


def test_an_hour_of_hardware_becomes_rates(file: Path) -> None:
    price = priced(file, "{gpu_hour_usd: 2.0, prompt_tokens_per_s: 2000, output_tokens_per_s: 50}")
    assert price is not None
    # 2 / 3600 s / 50 a second = 0.0000111 dollars; input 40 times as fast; what is still in the slot costs no time
    assert round(price.rates.output_usd, 4) == Decimal("11.1111")
    assert price.rates.input_usd * 40 == price.rates.output_usd
    assert price.rates.cache_read_usd == 0
    assert price.source == f"{file}:7, by the GPU hour"


@pytest.mark.parametrize(
    ("price", "key", "line"),
    [
        ("cheap", "models.m.price", 7),
        ("[]", "models.m.price", 7),
        ("{input: 1, output: 2, from: 2026-11-01}", "models.m.price.from", 8),
        ("input: 1\noutput: 2\nbatch: {input: 1}", "models.m.price.batch.output", 10),
        ("input: 1\noutput: 2\nlong_context: [{input: 1, output: 2}]", "models.m.price.long_context.0.over_tokens", 10),
        ('input: 1\noutput: 2\npeaks: [{hours: "22:00-02:00", input: 1, output: 2}]', "price.peaks.0.hours", 10),
        ("input: 1\noutput: 2\npeaks: [{hours: night, input: 1, output: 2}]", "price.peaks.0.hours", 10),
        ("input: 1\noutput: 2\npeaks: [{hours: 5, input: 1, output: 2}]", "price.peaks.0.hours", 10),
        ('{input: 1, output: 2, peaks: [{hours: "01:00-02:00", weekdays: [fry], input: 1, output: 2}]}', "weekdays", 8),
        ("- {from: 2026-11-01, input: 1, output: 2, checked: 2026-11-01}", "models.m.price.0.source", 8),
        ("- {from: 2026-11-01, input: 1, output: 2, source: x}", "models.m.price.0.checked", 8),
        (f"- {{input: 1, output: 2, {READ}}}", "models.m.price.0.from", 8),
        (f"- {{from: soon, input: 1, output: 2, {READ}}}", "models.m.price.0.from", 8),
        (
            f"- {{from: 2026-12-01, input: 1, output: 2, {READ}}}\n- {{from: 2026-11-01, input: 1, output: 2, {READ}}}",
            "models.m.price",
            7,
        ),
        (
            f"- {{from: 2026-12-01, input: 1, output: 2, {READ}}}\n- {{from: 2026-12-01, input: 1, output: 2, {READ}}}",
            "models.m.price",
            7,
        ),
        ("{watt: 9, prompt_tokens_per_s: 9, output_tokens_per_s: 9}", "`watt` and `kwh_usd` together", 7),
        ("{gpu_hour_usd: 2, watt: 9, kwh_usd: 1, prompt_tokens_per_s: 9, output_tokens_per_s: 9}", "wants either", 7),
        ("{gpu_hour_usd: 2, prompt_tokens_per_s: 9}", "models.m.price.output_tokens_per_s", 7),
        ("{gpu_hour_usd: 2, prompt_tokens_per_s: 9, output_tokens_per_s: 0}", "price.output_tokens_per_s", 8),
    ],
)
def test_a_wrong_price_is_told_once_with_its_line_and_key(file: Path, price: str, key: str, line: int) -> None:
    found = problem(file, price)
    assert found.where == f"{file}:{line}"
    assert key in found.message
    assert found.mend
    assert "Value error" not in found.message
