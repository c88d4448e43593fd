"""llama.cpp's server: where it differs from OpenAI. The whole answers and streams here were recorded."""

from __future__ import annotations

import orjson
import pytest

from gateway.core.chunks import assemble
from gateway.core.errors import UpstreamContextLength, UpstreamError, UpstreamOverloaded
from gateway.dialects.llamacpp import LlamaCpp
from tests.dialects.asking import USER, sent
from tests.dialects.cassette import fed, play, read

LLAMA = LlamaCpp()
SYSTEM = {"role": "system", "content": "a"}


def test_leading_system_and_developer_messages_are_one_system_message() -> None:
    developer = {"role": "developer", "content": [{"type": "text", "text": "b"}]}
    body = sent(LLAMA, messages=[SYSTEM, developer, USER])
    assert body["messages"] == [{"role": "system", "content": "a\n\nb"}, USER]


def test_a_lone_system_message_is_sent_as_it_is() -> None:
    assert sent(LLAMA, facts={"default_system": "d"}, messages=[SYSTEM, USER])["messages"] == [SYSTEM, USER]


def test_the_default_system_message_is_sent_when_there_is_none() -> None:
    assert sent(LLAMA, facts={"default_system": "d"})["messages"] == [{"role": "system", "content": "d"}, USER]


def test_engine_options_pass_through() -> None:
    assert sent(LLAMA, cache_prompt=False, grammar="root ::= x")["grammar"] == "root ::= x"


def test_timings_and_the_path_on_our_disk_are_nobodys_business() -> None:
    whole = LLAMA.decode(read("llamacpp/chat.json"))
    streamed = play(LLAMA, [read("llamacpp/chat.sse")])
    for answer in (whole, *streamed):
        assert "timings" not in answer
        assert answer["model"] == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert assemble(streamed)["choices"][0]["message"]["content"] == "The capital of France is Paris."


def test_the_usage_of_several_choices_adds_up() -> None:
    answer = assemble(play(LLAMA, [read("llamacpp/n2_logprobs.sse")]))
    assert [len(choice["logprobs"]["content"]) for choice in answer["choices"]] == [3, 3]
    assert answer["usage"]["completion_tokens"] == 6
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + 6


def test_a_whole_answer_with_several_choices_has_no_usage_because_it_counts_only_one() -> None:
    assert orjson.loads(read("llamacpp/n2.json"))["usage"]["completion_tokens"] == 3
    answer = LLAMA.decode(read("llamacpp/n2.json"))
    assert len(answer["choices"]) == 2
    assert "usage" not in answer
    assert "usage" in LLAMA.decode(read("llamacpp/chat.json"))


def test_an_error_line_ends_the_stream_and_tells_no_internals() -> None:
    with pytest.raises(UpstreamError) as caught:
        play(LLAMA, [read("llamacpp/error_in_stream.sse")])
    assert caught.value.code == "upstream_error"
    assert "/srv" not in caught.value.message


def test_an_overflow_is_a_context_length_error() -> None:
    error = LLAMA.error(400, {}, read("llamacpp/overflow.json"))
    assert isinstance(error, UpstreamContextLength)
    assert "512 tokens" in error.message
    line = b"error: " + orjson.dumps(orjson.loads(read("llamacpp/overflow.json"))["error"]) + b"\n\n"
    with pytest.raises(UpstreamContextLength):
        fed(LLAMA.decoder(), line)


def test_loading_is_overload_for_now() -> None:
    assert isinstance(LLAMA.error(503, {}, read("llamacpp/loading.json")), UpstreamOverloaded)
