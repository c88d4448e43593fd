"""Chunks become a Response: its events as they happen, and the object they amount to.

One machine for both forms, so they cannot differ: a stream sends the events, a whole answer is taken apart into chunks
and only the object is kept. An output item is opened by its first fragment and closed by the next item's or the end:
reasoning, then a message with its parts, then one item for each tool call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.chunks import Chunk
from gateway.core.errors import ThriftgateError, UpstreamMalformed
from gateway.dialects.served.responses_answer import Item, ending, failed, logprobs, part, responses_usage

_ITEM_IDS = {"reasoning": "rs", "message": "msg", "function_call": "fc"}
_ITEM_OF: Mapping[str, Item] = {
    "reasoning_text": {"type": "reasoning", "summary": [], "content": []},
    "output_text": {"type": "message", "role": "assistant", "content": []},
    "refusal": {"type": "message", "role": "assistant", "content": []},
}
_FIELD_OF = {"reasoning_text": "text", "output_text": "text", "refusal": "refusal"}


class ResponseWriter:
    """`response` is the object so far. Every method returns the events it caused, numbered from 0."""

    def __init__(self, opened: dict[str, Any]) -> None:
        self.response = opened
        self._events: list[dict[str, Any]] = []
        self._told = 0
        self._item: Item | None = None  # the output item being written; items do not overlap
        self._part: Item | None = None  # its content part being written
        self._texts: list[str] = []  # the pieces of that part, or of a call's arguments
        self._call = -1  # the chat API's index of the last tool call
        self._finish_reason: str | None = None

    def take(self, chunk: Chunk) -> list[dict[str, Any]]:
        """Raises UpstreamMalformed for tool calls that are interleaved."""
        if not self._told:
            self._begin(chunk)
        if chunk.get("usage") is not None:
            self.response["usage"] = responses_usage(chunk["usage"])
        for choice in chunk["choices"]:
            if choice.get("index", 0) == 0:
                self._take_choice(choice)
        return self._new()

    def finish(self) -> list[dict[str, Any]]:
        """The answer is whole."""
        self._close_item()
        self.response |= ending(self._finish_reason)
        self._tell(f"response.{self.response['status']}", response={**self.response})
        return self._new()

    def fail(self, error: ThriftgateError) -> list[dict[str, Any]]:
        """The answer broke off; the items that were closed stay."""
        if not self._told:
            self._begin({})
        self.response |= failed(error)
        self._tell("response.failed", response={**self.response})
        return self._new()

    def _begin(self, chunk: Chunk) -> None:
        self.response["created_at"] = chunk.get("created") or 0
        self.response["model"] = chunk.get("model") or self.response["model"]
        for name in ("response.created", "response.in_progress"):
            self._tell(name, response={**self.response})

    def _take_choice(self, choice: Mapping[str, Any]) -> None:
        delta = choice.get("delta") or {}
        if delta.get("reasoning_content"):
            self._grow("reasoning_text", delta["reasoning_content"], [])
        if delta.get("content"):
            self._grow("output_text", delta["content"], logprobs(choice))
        if delta.get("refusal"):
            self._grow("refusal", delta["refusal"], [])
        for call in delta.get("tool_calls") or ():
            self._take_call(call)
        if choice.get("finish_reason"):
            self._finish_reason = choice["finish_reason"]
            self._close_item()

    def _grow(self, kind: str, text: str, likely: list[Any]) -> None:
        item = _ITEM_OF[kind]
        if self._item is None or self._item["type"] != item["type"]:
            self._open_item({**item, "content": []})
        if self._part is None or self._part["type"] != kind:
            self._open_part(kind)
        self._texts.append(text)
        told: dict[str, Any] = {}
        if kind == "output_text":
            assert self._part is not None
            self._part["logprobs"] += likely
            told["logprobs"] = likely
        self._tell_part(f"response.{kind}.delta", delta=text, **told)

    def _take_call(self, fragment: Mapping[str, Any]) -> None:
        """A fragment belongs to the call at its index; without one, an id opens a call."""
        function = fragment.get("function") or {}
        index = fragment.get("index")
        if index is None:
            index = self._call + 1 if fragment.get("id") else self._call
        if index > self._call:
            self._call = index
            identity = {"call_id": fragment.get("id") or f"call_{index}", "name": function.get("name")}
            self._open_item({"type": "function_call", **identity, "arguments": ""})
        elif index < self._call or self._item is None or self._item["type"] != "function_call":
            raise UpstreamMalformed("The provider's tool calls are interleaved.", reached=True)
        if function.get("arguments"):
            self._texts.append(function["arguments"])
            self._tell_item("response.function_call_arguments.delta", delta=function["arguments"])

    def _open_item(self, item: Item) -> None:
        self._close_item()
        at = len(self.response["output"])
        own = f"{_ITEM_IDS[item['type']]}_{self.response['id'].removeprefix('resp_')}_{at}"
        self._item = {"id": own, **item, "status": "in_progress"}
        self._tell("response.output_item.added", output_index=at, item={**self._item})

    def _close_item(self) -> None:
        item = self._item
        if item is None:
            return
        self._close_part()
        if item["type"] == "function_call":
            item["arguments"] = self._written()
            self._tell_item("response.function_call_arguments.done", name=item["name"], arguments=item["arguments"])
        item["status"] = ending(self._finish_reason)["status"]
        self._tell("response.output_item.done", output_index=len(self.response["output"]), item=item)
        self.response["output"] = [*self.response["output"], item]
        self._item = None

    def _open_part(self, kind: str) -> None:
        self._close_part()
        assert self._item is not None
        self._part = part(kind)
        self._item["content"] = [*self._item["content"], self._part]
        self._tell_part("response.content_part.added", part=part(kind))

    def _close_part(self) -> None:
        done = self._part
        if done is None:
            return
        field = _FIELD_OF[done["type"]]
        done[field] = self._written()
        more = {"logprobs": done["logprobs"]} if "logprobs" in done else {}
        self._tell_part(f"response.{done['type']}.done", **{field: done[field]}, **more)
        self._tell_part("response.content_part.done", part=done)
        self._part = None

    def _written(self) -> str:
        text = "".join(self._texts)
        self._texts.clear()
        return text

    def _tell_part(self, name: str, /, **fields: Any) -> None:
        assert self._item is not None
        self._tell_item(name, content_index=len(self._item["content"]) - 1, **fields)

    def _tell_item(self, name: str, /, **fields: Any) -> None:
        assert self._item is not None
        self._tell(name, item_id=self._item["id"], output_index=len(self.response["output"]), **fields)

    def _tell(self, name: str, /, **fields: Any) -> None:
        self._events.append({"type": name, "sequence_number": self._told, **fields})
        self._told += 1

    def _new(self) -> list[dict[str, Any]]:
        events, self._events = self._events, []
        return events
