"""What becomes of each request field at a provider that has no word for it, or a model that refuses it.

A field the provider and the model take is sent as it came. One they do not take is a *hint* (dropped and named) or a
matter of *meaning* (refused, naming it): leaving out `n: 2` would give the client another answer than it asked for,
leaving out `seed` only a less repeatable one. Values that ask for nothing (`n: 1`, null) are neither. What is said to
the gateway (`metadata`) simply stays here.

A field in no row is nobody's that we know of, so it is the business of the provider it was sent to.

Sources: the vendors' API references and SDKs (openai-python 3.54, anthropic 2.12, api-docs.deepseek.com, llama.cpp's
tools/server/README.md), read 2026-11-23.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gateway.core.errors import UnsupportedParameter
from gateway.core.profile import Profile

Speaker = Literal["openai", "anthropic", "deepseek", "llamacpp"]

Fate = Literal["hint", "meaning", "ours"]

_SAMPLING: Mapping[str, Any] = {
    "temperature": None,
    "top_p": None,
    "top_k": None,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
"""What a reasoning model refuses, even at its default."""


@dataclass(frozen=True, slots=True)
class Row:
    """`spoken` names the providers that have the field. `neutral` asks for nothing; null does so everywhere."""

    fate: Fate
    spoken: frozenset[str]
    neutral: Any = None


_ALL = "openai anthropic deepseek llamacpp"


def _meaning(spoken: str, neutral: Any = None) -> Row:
    return Row("meaning", frozenset(spoken.split()), neutral)


def _hint(spoken: str, neutral: Any = None) -> Row:
    return Row("hint", frozenset(spoken.split()), neutral)


ROWS: Mapping[str, Row] = {
    "metadata": Row("ours", frozenset({"openai"})),
    "stop": _meaning(_ALL, []),
    "temperature": _hint(_ALL),
    "top_p": _hint(_ALL),
    "reasoning_effort": _hint(_ALL, "none"),
    "n": _meaning("openai llamacpp", 1),
    "logprobs": _meaning("openai deepseek llamacpp", False),
    "top_logprobs": _meaning("openai deepseek llamacpp", 0),
    "audio": _meaning("openai"),
    "modalities": _meaning("openai", ["text"]),
    "functions": _meaning("openai", []),
    "function_call": _meaning("openai", "none"),
    "web_search_options": _meaning("openai"),
    "moderation": _meaning("openai"),
    "frequency_penalty": _hint("openai deepseek llamacpp", 0),
    "presence_penalty": _hint("openai deepseek llamacpp", 0),
    "logit_bias": _hint("openai llamacpp", {}),
    "seed": _hint("openai llamacpp"),
    "prediction": _hint("openai"),
    "verbosity": _hint("openai", "medium"),
    "store": _hint("openai", False),
    "user": _hint("openai anthropic"),
    "safety_identifier": _hint("openai anthropic"),
    "service_tier": _hint("openai", "auto"),
    "prompt_cache_key": _hint("openai"),
    "prompt_cache_options": _hint("openai"),
    "prompt_cache_retention": _hint("openai"),
    "cache_control": _hint("anthropic"),
    "thinking": _hint("anthropic deepseek"),
    "top_k": _hint("anthropic llamacpp"),
    "inference_geo": _meaning("anthropic"),
    "container": _meaning("anthropic"),
    "speed": _hint("anthropic"),
    "grammar": _meaning("llamacpp"),
    "json_schema": _meaning("llamacpp"),
    "min_p": _hint("llamacpp"),
    "repeat_penalty": _hint("llamacpp", 1),
    "cache_prompt": _hint("llamacpp", True),
    "id_slot": _hint("llamacpp"),
    "reasoning_format": _hint("llamacpp"),
    "chat_template_kwargs": _hint("llamacpp"),
}


def settle(body: Mapping[str, Any], speaker: Speaker, profile: Profile) -> tuple[dict[str, Any], list[str]]:
    """The fields to send, and the names of the hints that were dropped. Raises UnsupportedParameter."""
    kept = dict(body)
    dropped: list[str] = []
    asked = [field for field in body if field in ROWS]
    denied = _denied(body, profile) if asked else {}
    for field in asked:
        row = ROWS[field]
        if field not in denied and (speaker in row.spoken or field in profile.extra_fields):
            continue
        value = kept.pop(field)
        if value not in (None, denied.get(field, row.neutral)):
            _refuse_or_drop(field, row.fate, dropped)
    return kept, dropped


def _refuse_or_drop(field: str, fate: Fate, dropped: list[str]) -> None:
    if fate == "meaning":
        raise UnsupportedParameter(f"This model cannot take `{field}`; leave it out, or ask another.", param=field)
    if fate == "hint":
        dropped.append(field)


def _denied(body: Mapping[str, Any], profile: Profile) -> dict[str, Any]:
    """What this model does not take though its provider has the field, with the value that asks for nothing."""
    denied: dict[str, Any] = {}
    effort = body.get("reasoning_effort")
    if "thinking" in body and body["thinking"] == {"type": "disabled"}:
        effort = "none"
    if profile.sampling is not True and not profile.takes(profile.sampling, effort):
        denied.update(_SAMPLING)
    if profile.logprobs is not True and not profile.takes(profile.logprobs, effort):
        denied.update(logprobs=False, top_logprobs=0)
    if not profile.n:
        denied["n"] = 1
    if not profile.stop:
        denied["stop"] = []
    if profile.reasoning == "none":
        denied["reasoning_effort"] = "none"
    if profile.service_tiers is not None and body.get("service_tier") not in profile.service_tiers:
        denied["service_tier"] = "auto"
    if profile.prompt_cache not in (None, "breakpoints"):
        denied["prompt_cache_options"] = None
    if profile.prompt_cache not in (None, "cache_control"):
        denied["cache_control"] = None
    return denied
