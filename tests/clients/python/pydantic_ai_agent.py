"""pydantic-ai: agents on its OpenAI and its Anthropic model classes."""

from __future__ import annotations

import asyncio

from checking import BASE_URL, KEY, URL, on_each_model, play
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider


class Town(BaseModel):
    city: str
    people: int


def chat(model: str) -> OpenAIChatModel:
    return OpenAIChatModel(model, provider=OpenAIProvider(base_url=BASE_URL, api_key=KEY))


def weather(city: str) -> str:
    """The weather in a city."""
    return f"18 degrees in {city}"


@on_each_model
def run(model: str) -> None:
    assert Agent(chat(model)).run_sync("Hello there").output == "You said: Hello there"


@on_each_model
def run_stream(model: str) -> None:
    async def read() -> str:
        async with Agent(chat(model)).run_stream("Hello there") as streamed:
            return await streamed.get_output()

    assert asyncio.run(read()) == "You said: Hello there"


@on_each_model
def an_agent_calls_its_tool(model: str) -> None:
    done = Agent(chat(model), tools=[weather]).run_sync('call: weather {"city": "Paris"}')
    assert "18 degrees in Paris" in done.all_messages_json().decode()


@on_each_model
def a_typed_output(model: str) -> None:
    assert isinstance(Agent(chat(model), output_type=Town).run_sync("Lyon").output, Town)


@on_each_model
def on_the_responses_api(model: str) -> None:
    own = OpenAIResponsesModel(model, provider=OpenAIProvider(base_url=BASE_URL, api_key=KEY))
    assert Agent(own).run_sync("Hello there").output == "You said: Hello there"


@on_each_model
def on_anthropics_messages(model: str) -> None:
    own = AnthropicModel(model, provider=AnthropicProvider(base_url=URL, api_key=KEY))
    assert Agent(own).run_sync("Hello there").output == "You said: Hello there"


play()
