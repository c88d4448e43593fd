"""Light answers that are also asked of the strongest model, behind the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from gateway.core.events import HitChecked, RequestFinished
from tests import loopback
from tests.fixtures.gateway import Config, running

LIGHT = "Translate 'wombat {}' into French."
SMALL_SAYS, LARGE_SAYS = "wombat", "le wombat"
JUDGE = "deepseek-flash"


def checking(config: Config, **learning: Any) -> Config:
    """The free local model answers, Claude is the strongest, and the judge is DeepSeek."""
    models = {**config["models"], JUDGE: {**config["models"][JUDGE], "routed": False}}
    return {**config, "models": models, "learning": {"shadow_share": 1, "judge_model": JUDGE, **learning}}


def says(upstreams: dict[str, loopback.Upstream], judge: str) -> None:
    upstreams["llamacpp"].always(loopback.Answer(SMALL_SAYS))
    upstreams["anthropic"].always(loopback.Answer(LARGE_SAYS))
    upstreams["deepseek"].always(loopback.Answer(judge))


async def test_a_light_answer_that_a_judge_finds_as_good_is_the_same(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    says(four_upstreams, "equal")
    async with running(tmp_path, checking(four_providers)) as gateway:
        answer = await gateway.ask(LIGHT)
        checked = await gateway.events.next(HitChecked)
        metrics = (await gateway.http.get("/metrics")).text
    assert answer.json()["choices"][0]["message"]["content"] == SMALL_SAYS
    assert (checked.of, checked.verdict, checked.judged, checked.model) == ("light", "same", True, "claude-opus-5-5")
    assert checked.request_id == answer.headers["x-request-id"]
    assert checked.cost_nano_usd > checked.judge_nano_usd > 0
    assert 'thriftgate_light_checked_total{service="default",verdict="same"} 1.0' in metrics
    assert f'thriftgate_shadow_cost_usd_total{{service="default"}} {checked.cost_nano_usd / 10**9}' in metrics
    assert "thriftgate_semantic_checked_total{" not in metrics


async def test_the_judge_is_not_told_whose_answers_they_are_and_its_choice_is_turned_back(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    says(four_upstreams, "1")
    async with running(tmp_path, checking(four_providers)) as gateway:
        verdicts = {}
        for at in range(8):
            await gateway.ask(LIGHT.format(at))
            checked = await gateway.events.next(HitChecked)
            shown = four_upstreams["deepseek"].requests[-1].body["messages"][-1]["content"]
            verdicts[f"Answer 1:\n{LARGE_SAYS}\n" in shown] = checked.verdict, checked.light_better
            assert "claude" not in shown
    assert verdicts.items() <= {True: ("different", False), False: ("same", True)}.items()


async def test_a_streamed_light_answer_is_checked_too(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    says(four_upstreams, "equal")
    async with running(tmp_path, checking(four_providers)) as gateway:
        await gateway.ask(LIGHT, stream=True)
        assert (await gateway.events.next(HitChecked)).verdict == "same"


async def test_a_judge_that_says_nothing_leaves_it_unknown_where_there_are_no_vectors(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    says(four_upstreams, "hard to say")
    async with running(tmp_path, checking(four_providers)) as gateway:
        await gateway.ask(LIGHT)
        checked = await gateway.events.next(HitChecked)
    assert (checked.verdict, checked.judged) == ("unknown", False)


async def test_once_the_days_dollars_are_spent_no_check_is_begun(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    says(four_upstreams, "equal")
    async with running(tmp_path, checking(four_providers, shadow_usd_per_day=1e-9)) as gateway:
        await gateway.ask(LIGHT.format(1))
        await gateway.events.next(HitChecked)
        await gateway.ask(LIGHT.format(2))
        await gateway.ask("Prove it.", "claude-opus-5-5")
    assert len(four_upstreams["anthropic"].requests) == 2  # one check, and what was asked for by name
    assert len([event for event in gateway.events.told if isinstance(event, HitChecked)]) == 1


async def test_nothing_is_checked_unless_somebody_says_so(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    async with running(tmp_path, four_providers) as gateway:
        await gateway.ask(LIGHT)
        await gateway.events.next(RequestFinished)
    assert four_upstreams["anthropic"].requests == []


async def test_a_check_has_a_line_of_the_ledger_with_its_cost(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    says(four_upstreams, "equal")
    async with running(tmp_path, checking(four_providers)) as gateway:
        await gateway.ask(LIGHT)
        checked = await gateway.events.next(HitChecked)
    (file,) = (tmp_path / "state/ledger").glob("*.ndjson")
    records = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    (line,) = [record for record in records if record["type"] == "check"]
    settled = [record["nano_usd"] for record in records if record["type"] == "settle" and record["id"].count(".") == 2]
    assert line["of"] == "light"
    assert line["cost_nano_usd"] == sum(settled) == checked.cost_nano_usd
