from __future__ import annotations

import base64
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.embeddings import MAX_INPUTS, EmbeddingsRequest, embeddings_answer, parse_embeddings
from gateway.core.errors import InvalidRequest


def parsed(given_input: object, **fields: Any) -> EmbeddingsRequest:
    return parse_embeddings({"model": "m", "input": given_input, **fields})


@pytest.mark.parametrize(
    ("given_input", "inputs"),
    [
        ("one", ("one",)),
        (["one", "two"], ("one", "two")),
        ([1, 2, 3], ([1, 2, 3],)),
        ([[1, 2], [3]], ([1, 2], [3])),
        (["one", [2]], ("one", [2])),
    ],
)
def test_all_of_openais_forms_of_input_are_read(given_input: object, inputs: tuple[object, ...]) -> None:
    assert parsed(given_input).inputs == inputs


def test_the_body_goes_on_without_the_gateways_own_field() -> None:
    request = parsed("one", dimensions=3, thriftgate={}, user="u")
    assert request.body == {"model": "m", "input": "one", "dimensions": 3, "user": "u"}
    assert request.dimensions == 3


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["one", ""]}, "input"),
        ({"input": ["one", None]}, "input"),
        ({"input": [[]]}, "input"),
        ({"input": [1, -1]}, "input"),
        ({"input": [True]}, "input"),
        ({"input": [1.5]}, "input"),
        ({"input": {"text": "one"}}, "input"),
        ({"input": ["x"] * (MAX_INPUTS + 1)}, "input"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"encoding_format": []}, "encoding_format"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": True}, "dimensions"),
        ({"dimensions": "3"}, "dimensions"),
    ],
)
def test_what_cannot_be_embedded_is_refused_by_name(change: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_embeddings({"model": "m", "input": "one", **change})
    assert caught.value.param == param


@pytest.mark.parametrize("body", [None, [], "one"])
def test_a_body_that_is_no_object_is_refused(body: object) -> None:
    with pytest.raises(InvalidRequest, match="JSON object"):
        parse_embeddings(body)


def test_the_most_inputs_allowed_are_allowed() -> None:
    assert len(parsed(["x"] * MAX_INPUTS).inputs) == MAX_INPUTS


def test_an_answer_is_openais_list() -> None:
    assert embeddings_answer(parsed(["a", "b"]), [[0.0, 1.0], [1.0, 0.0]], "mini", 4) == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.0, 1.0]},
            {"object": "embedding", "index": 1, "embedding": [1.0, 0.0]},
        ],
        "model": "mini",
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=8))
def test_base64_is_little_endian_float32(vector: list[float]) -> None:
    answer = embeddings_answer(parsed("a", encoding_format="base64"), [vector], "mini", 1)
    packed = base64.b64decode(answer["data"][0]["embedding"])
    assert list(struct.unpack(f"<{len(vector)}f", packed)) == vector
