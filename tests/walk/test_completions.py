"""OpenAI's SDK asking the legacy endpoint, over all four backends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from gateway.core.events import RequestFinished
from tests import loopback
from tests.fixtures.gateway import Config, running

MODELS = ("local", "deepseek-flash", "gpt-6.1-terra", "claude-opus-5-5")


@pytest.mark.parametrize("model", MODELS)
async def test_every_backend_answers_whole_and_streamed(tmp_path: Path, four_providers: Config, model: str) -> None:
    async with (
        running(tmp_path, four_providers) as gateway,
        AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0) as sdk,
    ):
        whole = await sdk.completions.create(model=model, prompt="Say 🗼", max_tokens=500)
        stream = await sdk.completions.create(
            model=model, prompt=["Say 🗼"], max_tokens=500, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        told = [await gateway.events.next(RequestFinished) for _ in range(2)]
    assert whole.object == chunks[0].object == "text_completion"
    assert whole.id == f"cmpl-{told[0].request_id.removeprefix('req_')}"
    assert whole.choices[0].text == "".join(choice.text for chunk in chunks for choice in chunk.choices)
    assert whole.choices[0].text == "You said: Say 🗼"
    assert whole.choices[0].finish_reason == chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert whole.usage is not None
    assert whole.usage.total_tokens > 0
    assert [(event.endpoint, event.cache) for event in told] == [("completions", "miss"), ("completions", "hit")]


async def test_a_stream_shows_usage_only_to_who_asked_and_ends_with_done(
    tmp_path: Path, four_providers: Config
) -> None:
    async with running(tmp_path, four_providers) as gateway:
        body = {"model": "gpt-6.1-terra", "prompt": "Hi", "stream": True}
        answer = await gateway.http.post("/completions", json=body)
    assert "usage" not in answer.text
    assert '"choices":[]' not in answer.text
    assert answer.text.count("data: [DONE]") == 1
    assert answer.text.endswith("data: [DONE]\n\n")


async def test_a_stream_that_breaks_ends_in_an_error_and_no_done(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    openai_upstream.always(loopback.Cut(after_tokens=1))
    async with running(tmp_path, four_providers) as gateway:
        body = {"model": "gpt-6.1-terra", "prompt": "Hello there", "stream": True}
        answer = await gateway.http.post("/v1/completions", json=body)
    assert answer.text.strip().rpartition("\n\n")[2].startswith('data: {"error":')
    assert "[DONE]" not in answer.text


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"echo": True}, "echo"),
        ({"suffix": "."}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"logprobs": 0}, "logprobs"),
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": []}, "prompt"),
    ],
)
async def test_what_a_chat_model_cannot_do_is_refused_by_name(
    tmp_path: Path, four_providers: Config, more: dict[str, Any], param: str
) -> None:
    async with (
        running(tmp_path, four_providers) as gateway,
        AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0) as sdk,
    ):
        asked: Any = {"model": "local", "prompt": "Hi", "echo": False, "best_of": 1} | more
        with pytest.raises(openai.BadRequestError) as refused:
            await sdk.completions.create(**asked)
    assert refused.value.param == param
