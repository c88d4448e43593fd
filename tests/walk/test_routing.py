"""Routing on real sockets: quality targets, shares, conversations that stay where they are cached, and new policies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from gateway.adapters.router_weights import load, save
from gateway.core.events import RequestFinished
from tests.fixtures.gateway import Config, Running, running
from tests.loopback import Upstream

LIGHT_ENOUGH = "Which animal is a mammal?\nA. whale\nB. shark\nC. trout\nD. newt\nAnswer:"
"""Like what the shipped weights were learned from."""
FLASH, TERRA, OPUS = "deepseek-flash", "gpt-6.1-terra", "claude-opus-5-5"


def reasons(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.headers["x-thriftgate-route-reason"]


def aiming(config: Config, target: float, **routing: Any) -> Config:
    return {**config, "routing": {"quality_target": target, **routing}}


async def test_a_target_is_a_price_and_a_higher_one_a_higher_price(tmp_path: Path, four_providers: Config) -> None:
    tiers = []
    for target in (0.5, 1.0):
        folder = tmp_path / str(target)
        folder.mkdir()
        async with running(folder, aiming(four_providers, target)) as gateway:
            answer = await gateway.ask(LIGHT_ENOUGH, headers={"x-thriftgate-cache": "off"})
            tiers.append(answer.headers["x-thriftgate-tier"])
            assert "expected gain" in reasons(answer)
            assert "; policy " in reasons(answer)
            told = await gateway.events.next(RequestFinished)
            assert "; ".join(told.reasons).startswith(reasons(answer))
    assert tiers == ["light", "heavy"]


async def test_a_target_leaves_what_it_has_not_learned_from_to_the_rules(
    tmp_path: Path, four_providers: Config
) -> None:
    async with running(tmp_path, aiming(four_providers, 0.5)) as gateway:
        answer = await gateway.ask("Wombats dig at night, don't they, in their own quiet way.")
    assert answer.headers["x-thriftgate-tier"] == "medium"
    assert reasons(answer).endswith("by rules: unlike what the router learned from")


async def test_a_pinned_model_and_a_tier_that_is_asked_for_are_contracts(
    tmp_path: Path, four_providers: Config
) -> None:
    async with running(tmp_path, aiming(four_providers, 0.5)) as gateway:
        pinned = await gateway.ask(LIGHT_ENOUGH, OPUS)
        heavy = await gateway.ask(LIGHT_ENOUGH, "auto:heavy")
    assert (pinned.headers["x-thriftgate-model"], reasons(pinned)) == (OPUS, "pinned")
    assert (heavy.headers["x-thriftgate-tier"], reasons(heavy)) == ("heavy", "asked for")


async def test_no_answer_comes_from_below_the_least_tier(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, aiming(four_providers, 0.5, min_tier="medium")) as gateway:
        answer = await gateway.ask(LIGHT_ENOUGH)
        refused = await gateway.ask(LIGHT_ENOUGH, "auto:light")
    assert answer.headers["x-thriftgate-tier"] == "medium"
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_allowed")


async def test_a_long_question_is_judged_beside_the_loop(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, aiming(four_providers, 0.5)) as gateway:
        long = await gateway.ask("Whales are large. " * 200 + LIGHT_ENOUGH)
    assert long.status_code == 200


async def test_shares_are_of_the_services_own_traffic(tmp_path: Path, four_providers: Config) -> None:
    service = {"name": "shop", "key": "k", "routing": {"light_share": 1.0}}
    async with running(tmp_path, {**four_providers, "services": [service]}) as gateway:
        key = {"authorization": "Bearer k"}
        said = [reasons(await gateway.ask(f"What is {number} times seven?", headers=key)) for number in range(22)]
    assert "recent prompts" not in said[0]
    assert said[-1].startswith("harder than ")
    assert "policy " in said[-1]


# conversations


def caching(config: Config) -> Config:
    """The light model's provider caches every prompt, and reads what it has cached for nothing."""
    flash = {
        **config["models"][FLASH],
        "prompt_cache": "automatic",
        "min_cache_tokens": 1,
        "price": {"input": 1.0, "output": 1.0, "cache_read": 0.0},
    }
    opus = {
        **config["models"][OPUS],
        "price": {"input": 2.0, "output": 2.0, "cache_read": 0.0},
        "prompt_cache": "automatic",
    }
    return {**config, "models": {FLASH: flash, TERRA: config["models"][TERRA], OPUS: {**opus, "min_cache_tokens": 1}}}


async def conversation(gateway: Running, *said: str) -> list[httpx.Response]:
    """Each turn with the answers before it, as clients send them."""
    messages: list[dict[str, str]] = []
    answers = []
    for text in said:
        messages.append({"role": "user", "content": text})
        answers.append(
            await gateway.http.post(
                "/v1/chat/completions",
                json={"model": "auto", "messages": messages, "max_tokens": 20},
                headers={"x-thriftgate-cache": "off"},
            )
        )
        assert answers[-1].status_code == 200, answers[-1].text
        messages.append({"role": "assistant", "content": answers[-1].json()["choices"][0]["message"]["content"]})
    return answers


LONG_PROOF = "Prove that there are infinitely many primes, by induction if you can. " + "It matters. " * 400


async def test_a_conversation_stays_with_the_model_that_has_it_cached(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, caching(four_providers)) as gateway:
        first, second = await conversation(gateway, LONG_PROOF, "Thanks!")
    assert first.headers["x-thriftgate-model"] == OPUS
    assert second.headers["x-thriftgate-model"] == OPUS, reasons(second)
    assert f"stays with {OPUS}" in reasons(second)
    assert "of it the switch" in reasons(second)


async def test_it_leaves_for_a_tier_that_it_needs_and_says_what_that_costs(
    tmp_path: Path, four_providers: Config
) -> None:
    async with running(tmp_path, caching(four_providers)) as gateway:
        first, second = await conversation(gateway, "Translate into French: " + "cat " * 200, LONG_PROOF)
    assert first.headers["x-thriftgate-model"] == FLASH
    assert second.headers["x-thriftgate-model"] == OPUS
    assert f"leaves {FLASH} and " in reasons(second)
    assert "a switch of $" in reasons(second)


async def test_a_reasoning_block_does_not_reach_another_provider(
    tmp_path: Path, four_providers: Config, four_upstreams: dict[str, Upstream]
) -> None:
    """DeepSeek's reasoning and Claude's signed thinking are each their own maker's: the other refuses them."""
    reasoned = {
        "role": "assistant",
        "content": "Four.",
        "reasoning_content": "Two and two.",
        "thinking_blocks": [{"type": "thinking", "thinking": "Two and two.", "signature": "s"}],
    }
    body = [{"role": "user", "content": "Two and two?"}, reasoned, {"role": "user", "content": "And one?"}]
    async with running(tmp_path, four_providers) as gateway:
        for model in (FLASH, TERRA, "local", OPUS):
            answer = await gateway.http.post("/v1/chat/completions", json={"model": model, "messages": body})
            assert answer.status_code == 200, answer.text
    for kind in ("deepseek", "openai", "llamacpp"):
        (sent,) = four_upstreams[kind].requests[-1:]
        assert "signature" not in str(sent.body), kind
    (sent,) = four_upstreams["anthropic"].requests
    assert "reasoning_content" not in str(sent.body)


# new policies


async def test_a_reload_switches_to_other_weights_and_back(tmp_path: Path, four_providers: Config) -> None:
    shipped = load()
    other = tmp_path / "other.npz"
    save(type(shipped)(shipped.scale, shipped.light, (), shipped.level, shipped.curve, shipped.promises, ""), other)
    admin = {"authorization": "Bearer admin"}
    config = {**aiming(four_providers, 0.5), "server": {"admin_key": "admin"}}
    said = []
    async with running(tmp_path, config) as gateway:
        file = tmp_path / "gateway.yaml"
        first = file.read_text()
        for text in (first, first.replace("quality_target: 0.5", f"quality_target: 0.5\n  weights: {other}"), first):
            file.write_text(text)
            assert (await gateway.http.post("/v1/thriftgate/reload", headers=admin)).status_code == 200
            said.append(reasons(await gateway.ask(LIGHT_ENOUGH)))
    assert said[0] == said[2] != said[1]
    assert said[1].endswith("by rules: unlike what the router learned from")


async def test_weights_that_cannot_be_read_change_nothing(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, {**aiming(four_providers, 0.5), "server": {"admin_key": "admin"}}) as gateway:
        file = tmp_path / "gateway.yaml"
        file.write_text(file.read_text().replace("quality_target: 0.5", "quality_target: 0.5\n  weights: gone.npz"))
        refused = await gateway.http.post("/v1/thriftgate/reload", headers={"authorization": "Bearer admin"})
        answer = await gateway.ask(LIGHT_ENOUGH)
    assert refused.status_code == 400
    assert "gone.npz" in refused.json()["error"]["message"]
    assert "expected gain" in reasons(answer)
