"""The document describes what is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.gateway import Config, running

POSTED = {
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/responses",
}


async def test_every_route_that_a_model_answers_is_described_and_served_under_both_names(
    tmp_path: Path, four_providers: Config
) -> None:
    async with running(tmp_path, four_providers) as gateway:
        paths = (await gateway.http.get("/openapi.json")).json()["paths"]
        posted = {path for path, verbs in paths.items() if "post" in verbs}
        statuses = {
            (await gateway.http.get(prefix + path.removeprefix("/v1"))).status_code
            for path in POSTED
            for prefix in ("/v1", "")
        }
    assert posted >= POSTED
    assert statuses == {405}


@pytest.mark.parametrize(
    ("path", "required"),
    [
        ("/v1/chat/completions", {"error"}),
        ("/v1/responses", {"error"}),
        ("/v1/messages", {"type", "error", "request_id"}),
    ],
)
async def test_an_error_has_the_shape_that_is_described(
    tmp_path: Path, four_providers: Config, path: str, required: set[str]
) -> None:
    async with running(tmp_path, four_providers) as gateway:
        document: Any = (await gateway.http.get("/openapi.json")).json()
        answer = await gateway.http.post(path, json={"model": 1})
    described = document["paths"][path]["post"]["responses"]["400"]["content"]["application/json"]["schema"]["$ref"]
    schema = document["components"]["schemas"][described.rpartition("/")[2]]
    assert answer.status_code == 400
    assert set(schema["required"]) == set(answer.json()) == required
