"""Every number that anybody reads is the same number: headers, metrics, ledger and figures, to the nano-dollar."""

from __future__ import annotations

from pathlib import Path

from gateway.core.events import HitChecked, RequestFinished
from tests import loopback
from tests.fixtures.gateway import Config, Running, running
from tests.walk.scripted_hour import (
    Numbers,
    ScriptedHour,
    hour_config,
    ledger_lines,
    nano,
    of_figures,
    of_headers,
    of_ledger,
    of_metrics,
)
from tests.walk.test_meaning import ready


async def told(gateway: Running, hour: ScriptedHour) -> None:
    """Until every request, and every check of a semantic hit, has been told."""
    for _ in range(hour.requests):
        await gateway.events.next(RequestFinished)
    hits = [answer for answer in hour.answers if answer.headers.get("x-thriftgate-cache") == "semantic-hit"]
    for _ in hits:
        await gateway.events.next(HitChecked)


async def test_after_an_hour_of_everything_all_sources_say_the_same(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, loopback.Upstream]
) -> None:
    async with running(tmp_path, hour_config(four_providers)) as gateway:
        await ready(gateway)
        hour = ScriptedHour(gateway.http, four_upstreams)
        await hour.play()
        await told(gateway, hour)
        metrics = of_metrics((await gateway.http.get("/metrics")).text)
        admin = {"authorization": "Bearer admin"}
        figures = (await gateway.http.get("/v1/thriftgate/figures", headers=admin)).json()
    ledger = of_ledger(tmp_path)
    assert ledger.requests == hour.requests
    assert metrics == ledger
    assert of_figures(figures) == ledger
    assert_everything_happened(ledger, gateway)
    assert_the_law(ledger)
    of_request = {line["request_id"]: line for line in ledger_lines(tmp_path) if line["type"] == "request"}
    heard = of_headers(hour.answers, lambda id: of_request[id]["cost_nano_usd"])
    unheard = set(of_request) - {answer.headers["x-request-id"] for answer in hour.answers}
    assert len(unheard) == hour.left
    assert heard + sum(of_request[id]["cost_nano_usd"] for id in unheard) == ledger.cost
    for answer in hour.answers:
        if "x-thriftgate-saved-usd" in answer.headers:
            line = of_request[answer.headers["x-request-id"]]
            assert nano(answer.headers["x-thriftgate-saved-usd"]) == line["saved_nano_usd"]
            assert nano(answer.headers["x-thriftgate-cost-usd"]) == line["cost_nano_usd"]
            assert answer.headers.get("x-thriftgate-baseline-model") == line["baseline"]


def assert_the_law(numbers: Numbers) -> None:
    assert numbers.baseline - numbers.cost == sum(numbers.by_cause.values()) - numbers.beside


def assert_everything_happened(numbers: Numbers, gateway: Running) -> None:
    """Or the agreement would say little."""
    events = [event for event in gateway.events.told if isinstance(event, RequestFinished)]
    assert {event.cache for event in events} >= {"hit", "semantic-hit", "joined", "miss", "bypass"}
    assert {event.outcome for event in events} >= {"ok", "client_error", "refused", "upstream_error"}
    assert {event.outcome for event in events} >= {"client_disconnect"}
    assert {event.tier for event in events} >= {"light", "medium", "heavy"}
    assert {event.endpoint for event in events} == {"chat", "messages", "responses", "completions", "embeddings"}
    assert numbers.by_cause.keys() >= {"tier", "exact_cache", "semantic_cache", "single_flight"}
    assert numbers.by_kind.keys() == {"failed_attempt", "escalation", "dearer_model", "shadow", "judge"}
    assert numbers.cost > 0
