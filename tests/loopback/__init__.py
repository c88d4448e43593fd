"""Strict loopback providers: real sockets that speak each wire format and refuse what the real ones refuse.

    async with loopback.serve(loopback.OpenAI()) as upstream:
        upstream.base_url, upstream.api_key          # where the gateway should send, and with what
        ...                                          # every valid chat is answered "You said: <last user text>"
        upstream.requests[-1].body                   # what arrived: .path .headers .raw, and what became of it:
        await upstream.requests[-1].disconnected.wait()   # the client left before the response was complete
        upstream.requests[-1].produced_tokens        # what was sent until then
        assert not upstream.refusals                 # no rule was broken

Fixtures: `openai_upstream`, `deepseek_upstream`, `anthropic_upstream`, `llamacpp_upstream`
(tests/fixtures/loopback.py).

**Scripts.** `upstream.script(step, ...)` answers the next valid chat requests in order, `upstream.always(step)` all
the others. A step is an `Answer` (text, tool calls, reasoning, a chosen usage, a finish reason) or one of

    Refuse(503)  rate_limited(2)           a refusal in the provider's own shape
    Respond(200, b"<html>")  redirect(url)  Gzipped(500 << 20)  Flood(200 << 20)
    Silence()  HangUp(reset=True)          nothing at all
    Stall(after_tokens=2)                  then silence until the client leaves
    Cut(after_tokens=2, reset=True)        then FIN, or RST
    Unfinished()  Unfinished(2)            whole for HTTP, without the terminal event
    Insert(b"data: {oops\\n\\n", 2)  Fail(2)  KeepAlives(3)
    Gated(ticks)                           one token for each `ticks.release()` of an asyncio.Semaphore

**Time** is never slept away: a test waits for `await upstream.arrival()`, for `request.disconnected` or `.completed`,
and sets the pace with a semaphore.

**Tokens** are words (`answer.py`), so that the usage a provider reports is exactly what it sent. Rules live in
`openai_rules.py`, `anthropic_rules.py`, `deepseek.py` and `llamacpp.py`; each one carries the provider's own words.
"""

from tests.loopback.answer import Answer, ToolCall
from tests.loopback.anthropic import Anthropic
from tests.loopback.deepseek import DeepSeek
from tests.loopback.flavour import Flavour, Received, Refusal
from tests.loopback.llamacpp import LlamaCpp
from tests.loopback.openai import OpenAI
from tests.loopback.server import Upstream, serve
from tests.loopback.steps import (
    Cut,
    Fail,
    Flood,
    Gated,
    Gzipped,
    HangUp,
    Insert,
    KeepAlives,
    Refuse,
    Respond,
    Say,
    Silence,
    Stall,
    Step,
    Unfinished,
    rate_limited,
    redirect,
)

__all__ = [
    "Answer",
    "Anthropic",
    "Cut",
    "DeepSeek",
    "Fail",
    "Flavour",
    "Flood",
    "Gated",
    "Gzipped",
    "HangUp",
    "Insert",
    "KeepAlives",
    "LlamaCpp",
    "OpenAI",
    "Received",
    "Refusal",
    "Refuse",
    "Respond",
    "Say",
    "Silence",
    "Stall",
    "Step",
    "ToolCall",
    "Unfinished",
    "Upstream",
    "rate_limited",
    "redirect",
    "serve",
]
