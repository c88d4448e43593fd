from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.adapters import genai_price_book
from gateway.catalog import EMBEDDED, Catalogs, build_catalogs
from gateway.core.deadlines import Deadlines
from gateway.core.pricing import FREE, Price, Rates
from gateway.core.profile import Profile
from gateway.core.tiers import Tier
from gateway.core.usage import Usage
from gateway.model_settings import Capabilities
from gateway.settings import Loaded, load
from gateway.yaml_source import ConfigError

ROOT = Path(__file__).parent.parent
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "DEEPSEEK_API_KEY")
MONDAY_S = 1_795_392_000.0  # 2026-11-23
LISTED = Price(Rates(Decimal(1), Decimal(2)))
READ = "source: here, checked: 2026-11-23"
PROVIDERS = """\
providers:
  local: {kind: llamacpp, model: smol, context_tokens: 512}
  remote: {kind: llamacpp, base_url: "http://127.0.0.1:9/v1"}
  work: {kind: openai, api_key: os.environ/WORK_KEY}
models:
"""


def book(kind: str, model: str) -> Price | None:
    return LISTED if (kind, model) == ("openai", "listed") else None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def loaded(folder: Path, *lines: str, environ: dict[str, str] | None = None) -> Loaded:
    path = folder / "gateway.yaml"
    path.write_text(PROVIDERS + "\n".join(lines) + "\n")
    return load(path, environ or {})


def catalogs(folder: Path, *lines: str, environ: dict[str, str] | None = None) -> Catalogs:
    return build_catalogs(loaded(folder, *lines, environ=environ), book)


def test_the_shipped_models_all_have_a_price() -> None:
    shipped = build_catalogs(load(ROOT / "config/gateway.yaml", {}), genai_price_book.price_of)
    assert {model.tier for model in shipped.chat.models} == set(Tier)
    assert [model.name for model in shipped.chat.present()] == ["local-model"]
    assert [model.name for model in shipped.chat.models if model.price == FREE] == ["local-model"]


def test_every_shipped_row_says_where_and_when_it_was_read() -> None:
    rows = load(ROOT / "config/gateway.yaml", {}).settings.models
    assert [name for name, row in rows.items() if not (row.source and row.checked)] == []
    assert {row.provider for row in rows.values()} == {"local", "openai", "anthropic", "deepseek"}


def test_the_shipped_tiers_become_dearer_and_nothing_routed_is_dearer_than_the_next_tiers_cheapest() -> None:
    shipped = build_catalogs(load(ROOT / "config/gateway.yaml", dict.fromkeys(KEYS, "k")), genai_price_book.price_of)
    asked = Usage(input_tokens=1_000, output_tokens=500)
    costs = {tier: [m.price.bound(asked, MONDAY_S) for m in shipped.chat.routed() if m.tier is tier] for tier in Tier}
    for lower, higher in pairwise(Tier):
        assert max(costs[lower]) < min(costs[higher])


def test_a_capability_without_its_source_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        catalogs(folder, "  m: {provider: remote, tier: light, price: free, vision: true}")
    assert "(`vision`), but not who says so" in caught.value.problems[0].message
    with pytest.raises(ConfigError):
        catalogs(folder, "  m: {provider: remote, tier: light, price: free, vision: true, source: here}")


def test_a_model_without_a_price_is_refused_with_its_line(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        catalogs(folder, "  listed: {provider: work, tier: light}", "  unheard-of: {provider: work, tier: light}")
    (found,) = caught.value.problems
    assert found.where == f"{folder / 'gateway.yaml'}:7"
    assert "`models.unheard-of` has no price" in found.message
    assert "price: free" in found.mend


def test_a_model_whose_price_is_yet_to_come_is_refused_until_it_does(folder: Path) -> None:
    row = f"from: 2999-01-01, input: 1, output: 2, {READ}"
    with pytest.raises(ConfigError) as caught:
        catalogs(folder, f"  soon: {{provider: work, tier: light, price: [{{{row}}}]}}")
    assert "`models.soon` has no price for today" in caught.value.problems[0].message
    (listed,) = catalogs(folder, f"  listed: {{provider: work, tier: light, price: [{{{row}}}]}}").chat.models
    assert listed.price.rates == LISTED.rates


def test_every_model_without_a_price_is_told(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        catalogs(folder, "  a: {provider: work, tier: light}", "  b: {provider: remote, tier: light}")
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ("free", FREE),
        ("{input: 3, output: 4}", Price(Rates(Decimal(3), Decimal(4)))),
        (
            "{input: 3, output: 4, cache_read: 0.3, cache_write: 3.75}",
            Price(Rates(Decimal(3), Decimal(4), Decimal("0.3"), Decimal("3.75"))),
        ),
    ],
)
def test_a_written_price_wins_over_the_list(folder: Path, price: str, expected: Price) -> None:
    (model,) = catalogs(folder, f"  listed: {{provider: work, tier: light, price: {price}}}").chat.models
    assert model.price == expected


def test_the_list_is_asked_for_the_providers_own_name(folder: Path) -> None:
    (model,) = catalogs(folder, "  ours: {provider: work, tier: light, upstream: listed}").chat.models
    assert (model.name, model.upstream, model.price) == ("ours", "listed", LISTED)


def test_a_local_model_is_called_upstream_what_its_engine_loads(folder: Path) -> None:
    (model,) = catalogs(folder, "  ours: {provider: local, tier: light, price: free}").chat.models
    assert (model.upstream, model.pinned_name) == ("smol", "local/smol")


def test_our_own_childs_window_is_known_and_a_servers_is_not(folder: Path) -> None:
    lines = (
        "  ours: {provider: local, tier: light, price: free}",
        "  far: {provider: remote, tier: light, price: free}",
    )
    windows = {model.name: model.profile.context_tokens for model in catalogs(folder, *lines).chat.models}
    assert windows == {"ours": 512, "far": None}


def test_facts_of_a_model_reach_its_profile(folder: Path) -> None:
    facts = "context_tokens: 9, max_output_tokens: 8, vision: true, tools: false, sampling: false, prefill: false"
    line = f"  m: {{provider: remote, tier: heavy, price: free, {READ}, forced_tools: true, {facts}}}"
    (model,) = catalogs(folder, line).chat.models
    profile = model.profile
    assert model.tier is Tier.HEAVY
    assert (profile.context_tokens, profile.max_output_tokens, profile.vision, profile.tools) == (9, 8, True, False)
    assert (profile.sampling, profile.prefill, profile.forced_tools) == (False, False, True)


@pytest.mark.parametrize("field", sorted(Capabilities.model_fields))
def test_every_capability_of_a_row_is_a_fact_of_the_profile(field: str) -> None:
    assert field in {known.name for known in fields(Profile)}


def test_what_is_so_for_a_whole_kind_need_not_be_written(folder: Path) -> None:
    (undescribed,) = catalogs(folder, "  m: {provider: remote, tier: light, price: free}").chat.models
    assert undescribed.profile.forced_tools == "emulated"


def test_a_models_own_timeouts_win_one_by_one(folder: Path) -> None:
    lines = (
        "  slow: {provider: remote, tier: light, price: free, timeouts: {first_token_s: 120, total_s: 1800}}",
        "  usual: {provider: remote, tier: light, price: free}",
        "timeouts: {connect_s: 3}",
    )
    slow, usual = catalogs(folder, *lines).chat.models
    assert slow.deadlines == Deadlines(connect_s=3, first_token_s=120, between_tokens_s=15, total_s=1800)
    assert usual.deadlines is None


def test_a_model_may_be_for_those_only_who_name_it(folder: Path) -> None:
    lines = (
        "  a: {provider: remote, tier: light, price: free, routed: false}",
        "  b: {provider: remote, tier: light, price: free}",
    )
    chat = catalogs(folder, *lines).chat
    assert [model.name for model in chat.routed()] == ["b"]
    assert chat.find("a") is not None


def test_embedding_models_are_listed_apart_beside_our_own(folder: Path) -> None:
    built = catalogs(folder, "  listed: {provider: work, mode: embedding}", environ={"WORK_KEY": "k"})
    assert built.chat.models == ()
    assert [(model.name, model.provider) for model in built.embeddings.present()] == [
        ("all-MiniLM-L6-v2", EMBEDDED),
        ("listed", "work"),
    ]


def test_without_an_embedder_there_is_no_embedding_model(folder: Path) -> None:
    lines = ("  m: {provider: remote, tier: light, price: free}", "embedder: {engine: none}")
    assert catalogs(folder, *lines).embeddings.models == ()


def test_a_provider_without_its_key_is_absent_with_the_reason(folder: Path) -> None:
    assert catalogs(folder, "  listed: {provider: work, tier: light}").chat.absent == {"work": "WORK_KEY is not set"}
    assert catalogs(folder, "  listed: {provider: work, tier: light}", environ={"WORK_KEY": "k"}).chat.absent == {}


def test_a_provider_may_not_take_the_own_embedders_name(folder: Path) -> None:
    path = folder / "gateway.yaml"
    path.write_text(
        "providers: {embedded: {kind: llamacpp, model: m}}\n"
        "models: {m: {provider: embedded, mode: embedding, price: free}}\n"
    )
    with pytest.raises(ConfigError, match="the gateway's own name") as caught:
        build_catalogs(load(path, {}), book)
    assert caught.value.problems[0].where == f"{path}:1"


def test_no_code_knows_a_model_by_its_name() -> None:
    """What differs between models is a row of config/models.yaml, not an `if`."""
    names = set(load(ROOT / "config/gateway.yaml", {}).settings.models) - {"local-model"}
    written = {(path.name, text) for path in (ROOT / "gateway").rglob("*.py") for text in strings_in(path)}
    assert {(file, name) for file, text in written for name in names if name in text} == set()


def strings_in(path: Path) -> Iterator[str]:
    """Every string of the code; prose (docstrings) is not code."""
    tree = ast.parse(path.read_text())
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value
