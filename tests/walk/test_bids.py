"""What a request reserves of its service's budgets, and what of that is sent upstream."""

from __future__ import annotations

from pathlib import Path

from gateway.core.bid import LEAST_OUTPUT_TOKENS
from tests import loopback
from tests.fixtures.gateway import Config, running
from tests.walk.test_refusals import TERRA, budgeted

HEADERS = {"authorization": "Bearer k"}
OFF = {**HEADERS, "x-thriftgate-cache": "off"}


async def test_what_is_granted_is_for_all_choices_and_what_is_sent_is_for_each(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    async with running(tmp_path, budgeted(four_providers, tokens=5_000)) as gateway:
        answer = await gateway.ask("Hello", TERRA, HEADERS, n=3)
    assert answer.status_code == 200
    each = openai_upstream.requests[0].body["max_completion_tokens"]
    assert each >= LEAST_OUTPUT_TOKENS
    assert each == 4_096 // 3


async def test_the_clients_own_limit_is_sent_as_it_is_whatever_n(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    async with running(tmp_path, budgeted(four_providers, tokens=5_000)) as gateway:
        await gateway.ask("Hello", TERRA, HEADERS, n=3, max_completion_tokens=50)
    assert openai_upstream.requests[0].body["max_completion_tokens"] == 50


async def test_a_small_budget_is_not_closed_by_a_request_that_names_no_limit(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    async with running(tmp_path, budgeted(four_providers, tokens=2_000)) as gateway:
        answers = [await gateway.ask("Hello", TERRA, OFF) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    limits = [request.body["max_completion_tokens"] for request in openai_upstream.requests]
    assert all(LEAST_OUTPUT_TOKENS <= limit < 2_000 for limit in limits)


async def test_local_answers_go_on_when_a_budget_is_spent_and_are_not_counted(
    tmp_path: Path, four_providers: Config
) -> None:
    async with running(tmp_path, budgeted(four_providers, tokens=1)) as gateway:
        paid = await gateway.ask("Hello", TERRA, HEADERS)
        own = await gateway.ask("Hello", "local", HEADERS)
        stands = await gateway.http.get("/v1/thriftgate/budget", headers=HEADERS)
    assert (paid.status_code, own.status_code) == (429, 200)
    assert stands.json()["budgets"][0]["tokens"]["used"] == 0
