"""The request log of a running gateway."""

from __future__ import annotations

from pathlib import Path

import orjson

from tests.fixtures.gateway import Config, running

SECRET = "sk-0123456789"


async def test_each_request_is_one_line_that_says_nothing_of_what_was_said(
    tmp_path: Path, four_providers: Config
) -> None:
    file = tmp_path / "requests.log"
    config = {**four_providers, "log": {"requests": str(file)}, "services": [{"name": "shop", "key": SECRET}]}
    async with running(tmp_path, config) as gateway:
        headers = {"authorization": f"Bearer {SECRET}"}
        answers = [
            await gateway.ask("A very private question", model, headers) for model in ("gpt-6.1-terra", "gpt-77")
        ]
    lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert [line["request_id"] for line in lines] == [answer.headers["x-request-id"] for answer in answers]
    assert [(line["service"], line["status"]) for line in lines] == [("shop", 200), ("shop", 404)]
    assert b"private" not in file.read_bytes()
    assert SECRET.encode() not in file.read_bytes()
