"""Whether a whole answer may be given, or a model of a higher tier is asked instead.

Theory of operation. The checks of `core/checks` cost no model: each is sure of what it finds or says nothing, because a
false alarm pays for a second answer. The first that fires decides. Which check it was goes into headers, logs and
metrics, so they are a closed set of names (`Check`), and no fault has a word of the prompt or of the answer in it.

Read are the last user message and the system message, which is where limits stand; of long ones the two ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from gateway.core.chat import ChatRequest, text_of
from gateway.core.checks.code import code_fault
from gateway.core.checks.counts import count_fault
from gateway.core.checks.ending import emptiness, refusal, truncation
from gateway.core.checks.fences import parted
from gateway.core.checks.repetition import repetition
from gateway.core.checks.structure import json_fault, schema_fault, tool_fault
from gateway.core.checks.sums import sum_fault
from gateway.core.checks.wording import script_fault, wording_fault
from gateway.core.chunks import Completion

if TYPE_CHECKING:
    from gateway.core.answer_head import AnswerHead  # it brings numpy along, which an image without models lacks

Mode = Literal["off", "whole", "buffered"]
"""Which answers are reviewed: none, those that are not streamed, or streamed ones too, which then wait for it."""
Check = Literal[
    "truncated", "empty", "refusal", "schema", "tools", "repetition", "code", "count", "wording", "script", "sums",
    "logprob", "arithmetic",
]  # fmt: skip
"""A closed set: it is a label of metrics."""
CHECKS: tuple[Check, ...] = get_args(Check)

_READ_CHARS = 2_000
_ANSWER_CHARS = 40_000
"""Of a longer answer only its end is read, for a loop: half of it cannot be counted, and nothing may hold the loop for
long (60 ms of CPU at most was seen, on a core with a load of eight, for 40,000 hostile characters; 2026-11)."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a service wants reviewed. `without` are checks it does not want. `min_logprob` is the least mean
    log-probability of a token (natural, at most 0) where the answer carries them; None does not look. `arithmetic` is
    the share of a strong model's quality that `core/answer_head` is to keep on worked sums; None does not ask it."""

    mode: Mode = "off"
    without: frozenset[Check] = frozenset()
    min_logprob: float | None = None
    arithmetic: float | None = None

    def covers(self, chat: ChatRequest) -> bool:
        """Whether answers to such a request are reviewed."""
        return self.mode == "buffered" or (self.mode == "whole" and not chat.stream)


NO_REVIEW = Terms()


@dataclass(frozen=True, slots=True)
class Reviewed:
    """How a request's review ended: its answer `passed`; it was `escalated` because of a check, to one that passed; or
    it `failed` the check, and there was nothing better to be had. As text `passed`, `escalated:code`, `failed:code`."""

    result: Literal["passed", "escalated", "failed"]
    check: Check | None = None

    def __str__(self) -> str:
        return self.result if self.check is None else f"{self.result}:{self.check}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with an answer: which check says so, and what it says."""

    check: Check
    fault: str


def review(chat: ChatRequest, completion: Completion, terms: Terms, head: AnswerHead | None = None) -> Finding | None:
    """The first thing wrong with any of the choices; None when the answer may be given. Never raises, whatever a
    provider has put into its answer."""
    asked = _Asked(chat)
    for choice in completion.get("choices") or ():
        for check, fault in _faults(asked, _plain(choice), terms, head):
            if check not in terms.without and (found := fault()):
                return Finding(check, found)
    return None


class _Asked:
    """What a request says of its answer, in the forms that checks read. Each is made when it is first wanted."""

    def __init__(self, chat: ChatRequest) -> None:
        self.chat = chat

    @cached_property
    def question(self) -> str:
        """The last user message."""
        users = [message for message in self.chat.messages if message["role"] == "user"]
        return text_of(users[-1].get("content")) if users else ""

    @cached_property
    def rules(self) -> str:
        """System message and question, each by its two ends, in lower case and with single spaces."""
        first = self.chat.messages[0]
        system = text_of(first.get("content")) if first["role"] in ("system", "developer") else ""
        return " \n ".join(" ".join(_two_ends(text).lower().split()) for text in (system, self.question))


def _plain(choice: Mapping[str, Any]) -> dict[str, Any]:
    """A choice of which checks may rely on `message`, with a text as its `content` and objects as its `tool_calls`."""
    message = choice.get("message") or {}
    calls = [call for call in message.get("tool_calls") or () if isinstance(call, Mapping)]
    return {**choice, "message": {**message, "content": text_of(message.get("content")), "tool_calls": calls}}


_Fault = Callable[[], str | None]


def _faults(
    asked: _Asked, choice: Mapping[str, Any], terms: Terms, head: AnswerHead | None
) -> Iterator[tuple[Check, _Fault]]:
    """Each check with what it would say, the cheap and sure ones first."""
    chat, body = asked.chat, asked.chat.body
    yield "truncated", lambda: truncation(chat, choice)
    yield "empty", lambda: emptiness(chat, choice)
    yield "refusal", lambda: refusal(choice)
    yield "schema", lambda: schema_fault(body, choice)
    yield "tools", lambda: tool_fault(body, choice)
    if terms.min_logprob is not None:
        least = terms.min_logprob
        yield "logprob", lambda: _unsure(choice, least)
    answer = choice["message"]["content"]
    if not answer or choice["message"].get("tool_calls"):
        return
    parts = parted(answer[-_ANSWER_CHARS:])
    yield "repetition", lambda: repetition(asked.rules, parts.prose)
    if len(answer) > _ANSWER_CHARS:
        return
    yield "code", lambda: code_fault(parts.blocks)
    if isinstance(body.get("response_format"), Mapping):
        return  # the rest is about prose
    yield "schema", lambda: json_fault(asked.rules, answer, parts.blocks)
    yield "count", lambda: count_fault(asked.rules, parts.prose)
    yield "wording", lambda: wording_fault(asked.rules, answer)
    yield "script", lambda: script_fault(asked.rules, answer)
    yield "sums", lambda: sum_fault(asked.rules, answer)
    if terms.arithmetic is not None and head is not None:
        target = terms.arithmetic
        yield "arithmetic", lambda: head.fault(asked.question, answer, target)


def _unsure(choice: Mapping[str, Any], least: float) -> str | None:
    """Of the tokens of the content, where the engine has told how likely each was."""
    tokens = (choice.get("logprobs") or {}).get("content") or []
    told = [token["logprob"] for token in tokens if isinstance(token, Mapping) and _is_number(token.get("logprob"))]
    return "unlikely tokens" if told and sum(told) / len(told) < least else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _two_ends(text: str) -> str:
    half = _READ_CHARS // 2
    return text if len(text) <= _READ_CHARS else f"{text[:half]}\n{text[-half:]}"
