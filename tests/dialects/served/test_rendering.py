"""What holds for every way of writing an answer."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given

from gateway.core.chunks import Chunk, Completion
from gateway.dialects.served.chat import ChatRendering
from gateway.dialects.served.completions import CompletionRendering
from gateway.dialects.served.messages import MessageRendering
from gateway.dialects.served.rendering import Rendering
from gateway.dialects.served.responses import ResponsesRendering
from gateway.dialects.served.responses_answer import opened
from tests.dialects.served.answers import events, streams

RENDERINGS: list[Rendering] = [
    ChatRendering(include_usage=True),
    ChatRendering(include_usage=False),
    CompletionRendering("req_1", include_usage=True),
    CompletionRendering("req_1", include_usage=False),
    MessageRendering("req_1", shows_thinking=True),
    ResponsesRendering(opened({"model": "auto"}, "req_1")),
]


@pytest.mark.parametrize("rendering", RENDERINGS, ids=lambda rendering: type(rendering).__name__)
@given(streams())
def test_what_it_is_given_stays_as_it_is(rendering: Rendering, pair: tuple[Completion, list[Chunk]]) -> None:
    whole, chunks = pair
    given = deepcopy(pair)
    events(rendering.stream(), chunks)
    rendering.whole(whole)
    assert (whole, chunks) == given
