"""What an attempt may cost, before it is made: what the ledger is asked to reserve."""

from __future__ import annotations

from gateway.core.budget import Amount, Bid
from gateway.core.chat import ChatRequest
from gateway.core.estimate import choices_of, output_limit, prompt_bound
from gateway.core.plan import Model

LEAST_OUTPUT_TOKENS = 1_024
"""For each choice, where the client has named no limit. What is cut shorter helps nobody: a model that thinks says
nothing in fewer (1,024 is also the least that Anthropic lets one think, 2026-11), and a refusal is honest."""


def bid(chat: ChatRequest, model: Model, unix_s: float) -> Bid:
    """Upper bounds of an attempt asked at `unix_s`: whatever becomes of its input, at any hour while it runs."""
    prompt_tokens = prompt_bound(chat, model.profile)
    most = output_limit(chat, model.profile)
    least = most if chat.max_tokens is not None else min(LEAST_OUTPUT_TOKENS * choices_of(chat), most)
    dearest = model.price.dearest(prompt_tokens, unix_s)
    return Bid(Amount(prompt_tokens, dearest.bound(prompt_tokens, 0)), dearest.bound(0, 1), least, most)


def input_bound(model: Model, input_tokens: int, unix_s: float) -> Amount:
    """The most that so much input can cost, alone."""
    return Amount(input_tokens, model.price.dearest(input_tokens, unix_s).bound(input_tokens, 0))
