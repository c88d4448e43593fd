"""instructor: a pydantic model out of each provider, by a forced tool, by a JSON schema, and streamed."""

from __future__ import annotations

import instructor
from checking import BASE_URL, KEY, on_each_model, play
from openai import OpenAI
from pydantic import BaseModel


class Town(BaseModel):
    city: str
    people: int


def client(mode: instructor.Mode) -> instructor.Instructor:
    return instructor.from_openai(OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0), mode=mode)


def ask(model: str, text: str) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": text}], "response_model": Town, "max_retries": 0}


@on_each_model
def by_a_forced_tool(model: str) -> None:
    assert isinstance(client(instructor.Mode.TOOLS).chat.completions.create(**ask(model, "Lyon")), Town)


@on_each_model
def by_a_json_schema(model: str) -> None:
    town = client(instructor.Mode.JSON_SCHEMA).chat.completions.create(
        **ask(model, 'say: {"city": "Lyon", "people": 520000}')
    )
    assert (town.city, town.people) == ("Lyon", 520_000), "it returns a subclass of Town"


@on_each_model
def streamed_in_parts(model: str) -> None:
    parts = client(instructor.Mode.TOOLS).chat.completions.create_partial(**ask(model, "Lyon"))
    assert list(parts)[-1].city is not None


play()
