"""What recorded traffic would have cost: `python -m tests.eval.replay`.

Reads the Azure and Mooncake traces (token counts and times, no text) from `$THRIFTGATE_EVAL_DATA/routing` (default
`../shared/data/routing`) and sends each request through the gateway's own planner, with the shipped models and their
prices, under a policy of tier shares: a trace has no prompts to judge, so each request's place among the others, easy
to hard, is an assumption, and is printed as one. Whether a conversation stays where its prefix is cached is the
planner's own decision. Exits with 1 when the founding article's table, replayed at its own prices, is not what the
study and plain arithmetic say; with 0 without data.
"""

from __future__ import annotations

import csv
import json
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from gateway.adapters.genai_price_book import price_of
from gateway.catalog import build_catalogs
from gateway.core.chat import parse_chat
from gateway.core.features import features_of
from gateway.core.forecast import Forecast
from gateway.core.options import DEFAULT
from gateway.core.plan import Catalog, Model
from gateway.core.planning import Known, make_plan
from gateway.core.policy import Judged, Policy, TierShares
from gateway.core.pricing import Price, Rates
from gateway.core.tiers import Tier
from gateway.core.usage import Usage
from gateway.core.warmth import Warm
from gateway.service_catalog import ANONYMOUS
from gateway.settings import load
from tests.eval.semantic import data_folder

ROOT = Path(__file__).parent.parent.parent
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "DEEPSEEK_API_KEY")
MONDAY_NOON = 1_795_435_200
"""2026-11-23T12:00Z, when every replay begins: DeepSeek's off-peak hours."""
BLOCK_TOKENS = 512
PREFIX_KEPT_S = 300.0
"""How long providers keep a prefix warm without being asked for longer (Anthropic's default; others similar)."""
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Asked:
    """One recorded request. `blocks` are ids of the 512-token blocks of its prompt; none are known of Azure's."""

    at_s: float
    input_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    name: str
    asked: tuple[Asked, ...]

    @property
    def days(self) -> Decimal:
        return Decimal(self.asked[-1].at_s) / DAY_S

    @property
    def tokens(self) -> int:
        return sum(one.input_tokens + one.output_tokens for one in self.asked)


Place = Callable[[int, Asked], float]
"""How hard the request at an index is taken to be: the share of all that are easier, 0 to 1."""


def evenly(at: int, asked: Asked) -> float:
    """Whatever the size: of every hundred requests each is in a place of its own."""
    return at * 37 % 100 / 100  # 37 and 100 share no factor


def by_size(trace: Trace) -> Place:
    """The longest are the hardest: the dearest way to have the same shares."""
    sizes = sorted(one.input_tokens + one.output_tokens for one in trace.asked)

    def place(at: int, asked: Asked) -> float:
        return bisect_left(sizes, asked.input_tokens + asked.output_tokens) / len(sizes)

    return place


@dataclass(slots=True)
class Warmth:
    """The prompt caches of the providers, one for each model: which blocks were last seen when."""

    seen_s: dict[tuple[str, int], float] = field(default_factory=dict)

    def usage(self, model: Model, asked: Asked) -> Usage:
        return self._charged(model, asked, self.read_tokens(model, asked))

    def read_tokens(self, model: Model, asked: Asked) -> int:
        """How much of the prompt is cached at a model."""
        read = 0
        for block in asked.blocks[: asked.input_tokens // BLOCK_TOKENS]:
            if asked.at_s - self.seen_s.get((model.name, block), -PREFIX_KEPT_S) >= PREFIX_KEPT_S:
                break
            read += BLOCK_TOKENS
        return read

    def warmest(self, models: Sequence[Model], asked: Asked) -> Warm | None:
        """The model that has most of the prompt cached. How many turns there were is not in a trace: one."""
        tokens, name = max((self.read_tokens(model, asked), model.name) for model in models)
        return Warm(name, tokens) if tokens else None

    def _charged(self, model: Model, asked: Asked, read: int) -> Usage:
        self.seen_s.update(((model.name, block), asked.at_s) for block in asked.blocks)
        written = asked.input_tokens // BLOCK_TOKENS * BLOCK_TOKENS - read if asked.blocks else 0
        bills_writes = model.price.rates.cache_write_usd is not None
        return Usage(asked.input_tokens, asked.output_tokens, read, written if bills_writes else 0)


ALL_HEAVY = TierShares(0.0, 0.0)


class Planner:
    """The gateway's own, under shares of tiers. It is asked once for every size and place, and again wherever a prefix
    is cached; nothing else of a recorded request is known to it."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._planned: dict[tuple[int, TierShares, float], Model] = {}

    def first(self, asked: Asked, shares: TierShares, place: float, warm: Warm | None = None) -> Model:
        """The model that would be asked first."""
        if warm is not None:
            return self._plan(asked, shares, place, warm)
        same = (asked.input_tokens, shares, place)
        if same not in self._planned:
            self._planned[same] = self._plan(asked, shares, place, None)
        return self._planned[same]

    def _plan(self, asked: Asked, shares: TierShares, place: float, warm: Warm | None) -> Model:
        chat = parse_chat({"model": "auto", "messages": [{"role": "user", "content": "word" * asked.input_tokens}]})
        service = replace(ANONYMOUS, policy=Policy(shares=shares))
        known = Known(NO_FEATURES, Judged(Forecast(0.0, 0.0, 0.0), place), warm=warm)
        return make_plan(chat, DEFAULT, service, self.catalog, MONDAY_NOON, known).attempts[0]


NO_FEATURES = features_of(parse_chat({"model": "auto", "messages": [{"role": "user", "content": "word"}]}))


def cost_usd(
    trace: Trace,
    planner: Planner,
    shares: TierShares,
    place: Place = evenly,
    *,
    prefixes: bool = False,
    stays: bool = False,
    repeats: bool = False,
    hits_percent: int = 0,
) -> Decimal:
    """Dollars of the whole trace. `prefixes`: providers' prompt caches are used; `stays`: the planner knows of them;
    `repeats`: a prompt whose blocks and size all came before is answered from the exact cache; `hits_percent`: so many
    of every hundred are hits as well."""
    total, warmth, answered = Decimal(0), Warmth(), set[tuple[int, tuple[int, ...]]]()
    for at, asked in enumerate(trace.asked):
        same = (asked.input_tokens, asked.blocks)
        if (repeats and asked.blocks and same in answered) or at * 61 % 100 < hits_percent:
            continue
        answered.add(same)
        warm = warmth.warmest(planner.catalog.routed(), asked) if stays else None
        model = planner.first(asked, shares, place(at, asked), warm)
        usage = warmth.usage(model, asked) if prefixes else Usage(asked.input_tokens, asked.output_tokens)
        total += model.price.cost(usage, MONDAY_NOON + asked.at_s)
    return total


def shipped() -> Catalog:
    """The models of config/ as if every provider had a key, without the small local one, which is no judge of quality
    and free only because nobody bills it."""
    catalog = build_catalogs(load(ROOT / "config/gateway.yaml", dict.fromkeys(KEYS, "none")), price_of).chat
    return Catalog(tuple(model for model in catalog.models if model.provider != "local"))


def articles(folder: Path) -> Catalog:
    """The three tiers of the founding article's replay at the prices of its day."""
    usd = json.loads((folder / "prices.json").read_text())["usd_per_million_tokens_in_out"]
    tiers = {"deepseek-v3": Tier.LIGHT, "claude-haiku-4.5": Tier.MEDIUM, "claude-sonnet-4.5": Tier.HEAVY}
    return Catalog(tuple(_at(usd[name], name, tier) for name, tier in tiers.items()))


def _at(usd: Sequence[float], name: str, tier: Tier) -> Model:
    rates = Rates(Decimal(str(usd[0])), Decimal(str(usd[1])))
    return Model(name, "replayed", name, tier, Price(rates))


def traces(folder: Path) -> Iterator[Trace]:
    for name in ("conv", "code"):
        path = folder / f"trace_azure2023_{name}.csv"
        if path.exists():
            with path.open() as file:
                rows = csv.DictReader(file)
                asked = tuple(Asked(float(r["t_s"]), int(r["in_tok"]), int(r["out_tok"])) for r in rows)
            yield Trace(f"azure-{name}", asked)
    for name in ("conversation", "synthetic"):
        path = folder / f"trace_mooncake_{name}.jsonl"
        if path.exists():
            lines = map(json.loads, path.read_text().splitlines())
            yield Trace(
                f"mooncake-{name}",
                tuple(Asked(r["t_ms"] / 1000, r["in_tok"], r["out_tok"], tuple(r["h"])) for r in lines),
            )


MIXES = (TierShares(0.7, 0.2), TierShares(0.5, 0.45), TierShares(0.3, 0.3))
"""The article's, about that of 211 hand-labelled prompts, and a heavy one."""


def print_trace(trace: Trace, planner: Planner) -> None:
    known = "exact repeats and prompt prefixes by their block ids" if trace.asked[0].blocks else "none known"
    print(f"\n{trace.name}: {len(trace.asked):,} requests, {trace.tokens:,} tokens in {trace.days * 24:.2f} h; {known}")
    heavy = cost_usd(trace, planner, ALL_HEAVY)
    _row(trace, "all heavy", heavy, heavy)
    hits = {"repeats": True, "prefixes": True} if trace.asked[0].blocks else {"hits_percent": 15}
    if trace.asked[0].blocks:
        _row(trace, "all heavy + prompt caches", cost_usd(trace, planner, ALL_HEAVY, prefixes=True), heavy)
    for shares in MIXES:
        mix = mix_of(shares)
        _row(trace, f"{mix} routed", cost_usd(trace, planner, shares), heavy)
        _row(trace, f"{mix} routed, longest are heavy", cost_usd(trace, planner, shares, by_size(trace)), heavy)
        _row(trace, f"{mix} routed + caches", cost_usd(trace, planner, shares, **hits), heavy)
        if trace.asked[0].blocks:
            _row(trace, f"{mix} the same, and stays", cost_usd(trace, planner, shares, stays=True, **hits), heavy)


def mix_of(shares: TierShares) -> str:
    light, medium = round(100 * shares.light), round(100 * shares.medium)
    return f"{light}/{medium}/{100 - light - medium}"


def _row(trace: Trace, name: str, usd: Decimal, heavy_usd: Decimal) -> None:
    saved = 100 - 100 * usd / heavy_usd
    print(f"  {name:<34} {usd / trace.days:>12,.2f} $/day {saved:>7.1f} % saved")


STUDY = {
    "azure-conv": {"gpt-4o": 110, "claude-sonnet-4.5": 146, "70/20/10": 33, "longest heavy": 50},
    "azure-code": {"gpt-4o": 78, "claude-sonnet-4.5": 95, "70/20/10": 22, "longest heavy": 43},
}
"""Dollars in 30 days at 1 M tokens a day, as the routing study replayed the founding article (2026-11-23). Which
requests fall into which tier was another draw there, so routed figures may differ by two dollars."""
DRAWN_USD = 2


def reproduced(trace: Trace, folder: Path) -> list[str]:
    """Where this replay differs from the study's figures, or from plain arithmetic by as much as a cent."""
    prices = json.loads((folder / "prices.json").read_text())["usd_per_million_tokens_in_out"]
    scale = Decimal(30 * 1_000_000) / trace.tokens
    planner, shares = Planner(articles(folder)), MIXES[0]
    seen = {
        "70/20/10": cost_usd(trace, planner, shares) * scale,
        "longest heavy": cost_usd(trace, planner, shares, by_size(trace)) * scale,
    }
    wrong = []
    for name in ("gpt-4o", "claude-sonnet-4.5"):
        only = Catalog((_at(prices[name], name, Tier.HEAVY),))
        seen[name] = cost_usd(trace, Planner(only), ALL_HEAVY) * scale
        plain = sum(one.input_tokens * prices[name][0] + one.output_tokens * prices[name][1] for one in trace.asked)
        if abs(plain / 1e6 * float(scale) - float(seen[name])) >= 0.01:
            wrong.append(f"{trace.name} {name} by arithmetic")
    study = STUDY[trace.name]
    print(f"\n{trace.name} at 1 M tokens a day and the prices of the founding article, $ in 30 days (the study's):")
    print("  " + ", ".join(f"{name} {usd:.2f} ({study[name]})" for name, usd in seen.items()))
    return wrong + [f"{trace.name} {name}" for name, usd in seen.items() if abs(usd - study[name]) > DRAWN_USD]


ASSUMED = f"""\
assumed: every provider has a key and answers at once; answers are as long whoever gives them; Monday, 12:00 UTC; tiers
in the named shares of light/medium/heavy, drawn evenly; all heavy = the cheapest heavy model; prompt prefixes stay
warm for {PREFIX_KEPT_S:.0f} s at each model, and the next turn is the last; 15 % of Azure's requests are hits (its
trace cannot tell). Quality is not in these figures."""


def main() -> int:
    folder = data_folder().parent / "routing"
    found = list(traces(folder))
    if not found:
        print(f"replay skipped: no traces in {folder} (set THRIFTGATE_EVAL_DATA)")
        return 0
    catalog = shipped()
    planner = Planner(catalog)
    print(f"models: {', '.join(f'{model.name} ({model.tier})' for model in catalog.routed())}")
    print(ASSUMED)
    for trace in found:
        print_trace(trace, planner)
    wrong = [name for trace in found if trace.name in STUDY for name in reproduced(trace, folder)]
    print("not reproduced: " + ", ".join(wrong) if wrong else "the study's table is reproduced")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
