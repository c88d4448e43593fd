"""LlamaIndex' OpenAILike: complete, chat, stream and tools."""

from __future__ import annotations

from checking import BASE_URL, KEY, on_each_model, play
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike


def weather(city: str) -> str:
    """The weather in a city."""
    return f"18 degrees in {city}"


def llm(model: str) -> OpenAILike:
    return OpenAILike(
        model=model,
        api_base=BASE_URL,
        api_key=KEY,
        is_chat_model=True,
        is_function_calling_model=True,
        context_window=32_000,
        max_retries=0,
    )


@on_each_model
def complete(model: str) -> None:
    assert llm(model).complete("Hello there").text == "You said: Hello there"


@on_each_model
def chat(model: str) -> None:
    messages = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Hello there")]
    assert llm(model).chat(messages).message.content == "You said: Hello there"


@on_each_model
def stream_chat(model: str) -> None:
    parts = [part.delta or "" for part in llm(model).stream_chat([ChatMessage(role="user", content="Hello there")])]
    assert "".join(parts) == "You said: Hello there"


@on_each_model
def chat_with_tools(model: str) -> None:
    own = llm(model)
    answer = own.chat_with_tools([FunctionTool.from_defaults(weather)], user_msg='call: weather {"city": "Paris"}')
    [call] = own.get_tool_calls_from_response(answer)
    assert (call.tool_name, call.tool_kwargs) == ("weather", {"city": "Paris"})


play()
