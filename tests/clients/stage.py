"""What the clients talk to: a gateway on a real socket over four strict providers, and two that misbehave.

The imitated models are obedient: `say: TEXT` is answered with TEXT, `call: NAME {ARGUMENTS}` with that tool call, and
everything else with an echo. So a program decides what its client has to cope with.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests import loopback
from tests.fixtures.gateway import Config, running, shipped_models
from tests.loopback.flavour import last_user_text

KEY = "sk-client-0123456789"
ADMIN_KEY = "admin-0123456789"
SUITE_KEY, SUITE_MODEL = "My API Key", "gpt-6-astra"  # what openai-python's own tests ask with, and for
MODELS = ("gpt-6.1-terra", "deepseek-flash", "claude-haiku-5-5", "local")
# Haiku and not Opus 5.5, which refuses forced tools: of instructor and its like, only the JSON schema modes work there.
_CALL = re.compile(r"call: (\w+) (\{.*?\})")
_SAY = re.compile(r"say: (.*)", re.DOTALL)


def _obey(body: Mapping[str, Any], echo: loopback.Answer) -> loopback.Answer:
    """The answer that was ordered. A forced tool, and an answer after tool results, stay as they are."""
    last = body["messages"][-1]
    said = last_user_text([last]) if last["role"] == "user" else ""
    if echo.tool_calls:
        return echo
    if (call := _CALL.search(said)) and body.get("tools"):
        return loopback.Answer(tool_calls=(loopback.ToolCall(call[1], call[2]),), reasoning=echo.reasoning)
    if order := _SAY.search(said):
        return loopback.Answer(order[1], reasoning=echo.reasoning)
    return echo


class OpenAI(loopback.OpenAI):
    """Obedient."""

    def echo(self, body: Mapping[str, Any]) -> loopback.Answer:
        return _obey(body, super().echo(body))


class DeepSeek(loopback.DeepSeek):
    """Obedient."""

    def echo(self, body: Mapping[str, Any]) -> loopback.Answer:
        return _obey(body, super().echo(body))


class Anthropic(loopback.Anthropic):
    """Obedient."""

    def echo(self, body: Mapping[str, Any]) -> loopback.Answer:
        return _obey(body, super().echo(body))


class LlamaCpp(loopback.LlamaCpp):
    """Obedient."""

    def echo(self, body: Mapping[str, Any]) -> loopback.Answer:
        return _obey(body, super().echo(body))


@asynccontextmanager
async def stage() -> AsyncIterator[str]:
    """The gateway's URL, without `/v1`."""
    flavours = {
        "openai": OpenAI(),
        "deepseek": DeepSeek(),
        "anthropic": Anthropic(),
        "llamacpp": LlamaCpp(),
        "limited": loopback.OpenAI(),
        "broken": loopback.OpenAI(),
    }
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tg-")))
        upstreams = {
            name: await stack.enter_async_context(loopback.serve(flavour)) for name, flavour in flavours.items()
        }
        upstreams["limited"].always(loopback.rate_limited(7))
        upstreams["broken"].always(loopback.Cut(after_tokens=2))
        gateway = await stack.enter_async_context(running(folder, _config(upstreams)))
        yield gateway.url


def _config(upstreams: Mapping[str, loopback.Upstream]) -> Config:
    kinds = {name: name if name in ("openai", "deepseek", "anthropic", "llamacpp") else "openai" for name in upstreams}
    local = {"provider": "llamacpp", "tier": "light", "price": "free", "upstream": "tiny", "forced_tools": "emulated"}
    local |= {"source": "tests/loopback", "checked": "2026-11-23"}
    return {
        "server": {"admin_key": ADMIN_KEY},
        "services": [{"name": "clients", "key": KEY}, {"name": "suite", "key": SUITE_KEY}],
        "upstream": {"attempts_per_model": 1},
        "providers": {
            name: {"kind": kinds[name], "base_url": upstream.base_url, "api_key": upstream.api_key or None}
            for name, upstream in upstreams.items()
        },
        "models": {**_models(), "local": local},
    }


def _models() -> Config:
    """The shipped rows, and three more that are GPT in all but name."""
    shipped = shipped_models("gpt-6.1-terra", "deepseek-flash", "claude-haiku-5-5", "text-embedding-3-small")
    gpt = {**shipped["gpt-6.1-terra"], "price": "free"}
    providers = {SUITE_MODEL: "openai", "gpt-limited": "limited", "gpt-broken": "broken"}
    return {**shipped, **{name: {**gpt, "provider": provider} for name, provider in providers.items()}}
