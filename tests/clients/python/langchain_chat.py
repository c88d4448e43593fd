"""LangChain's ChatOpenAI: invoke, stream, tools and structured output, and its embeddings."""

from __future__ import annotations

from checking import BASE_URL, KEY, check, on_each_model, play
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel


class Town(BaseModel):
    """A town."""

    city: str
    people: int


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"18 degrees in {city}"


def chat(model: str) -> ChatOpenAI:
    # With a base URL of its own it asks for a stream's usage only when told to.
    return ChatOpenAI(model=model, base_url=BASE_URL, api_key=KEY, max_retries=0, stream_usage=True)


@on_each_model
def invoke(model: str) -> None:
    answer = chat(model).invoke("Hello there")
    assert answer.content == "You said: Hello there", answer
    assert answer.usage_metadata["total_tokens"] > 0


@on_each_model
def stream(model: str) -> None:
    whole = None
    for chunk in chat(model).stream("Hello there"):
        whole = chunk if whole is None else whole + chunk
    assert whole.content == "You said: Hello there"
    assert whole.usage_metadata["total_tokens"] > 0


@on_each_model
def a_tool_loop_goes_round(model: str) -> None:
    bound = chat(model).bind_tools([weather])
    question = HumanMessage('call: weather {"city": "Paris"}')
    first = bound.invoke([question])
    assert [(call["name"], call["args"]) for call in first.tool_calls] == [("weather", {"city": "Paris"})]
    result = ToolMessage(weather.invoke(first.tool_calls[0]["args"]), tool_call_id=first.tool_calls[0]["id"])
    assert not bound.invoke([question, first, result]).tool_calls


@on_each_model
def structured_output(model: str) -> None:
    town = chat(model).with_structured_output(Town).invoke('say: {"city": "Lyon", "people": 520000}')
    assert town == Town(city="Lyon", people=520_000), town


@on_each_model
def structured_output_by_a_forced_tool(model: str) -> None:
    town = chat(model).with_structured_output(Town, method="function_calling").invoke("Lyon")
    assert isinstance(town, Town)


@check
def embeddings() -> None:
    embedder = OpenAIEmbeddings(
        model="text-embedding-3-small", base_url=BASE_URL, api_key=KEY, check_embedding_ctx_length=False
    )
    assert len(embedder.embed_documents(["one", "two"])) == 2


play()
