"""Playing cassettes: the one way tests feed a recorded body to a dialect."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gateway.core.chunks import Chunk
from gateway.dialects.anthropic import Anthropic
from gateway.dialects.deepseek import DeepSeek
from gateway.dialects.dialect import Dialect, StreamDecoder
from gateway.dialects.llamacpp import LlamaCpp
from gateway.dialects.openai import OpenAI

FOLDER = Path(__file__).parent.parent / "cassettes"
DIALECTS: dict[str, Dialect] = {
    "anthropic": Anthropic(),
    "deepseek": DeepSeek(),
    "llamacpp": LlamaCpp(),
    "openai": OpenAI(),
}
TERMINAL = dict.fromkeys(DIALECTS, b"data: [DONE]") | {"anthropic": b"event: message_stop"}


def read(name: str) -> bytes:
    """`openai/chat.sse` → its bytes."""
    return (FOLDER / name).read_bytes()


def dialect_of(name: str) -> Dialect:
    return DIALECTS[name.partition("/")[0]]


def play(dialect: Dialect, portions: Iterable[bytes]) -> list[Chunk]:
    """Every chunk of one streamed body."""
    decoder = dialect.decoder()
    chunks: list[Chunk] = []
    for portion in portions:
        decoder.feed(portion, chunks)
    decoder.close(chunks)
    return chunks


def fed(decoder: StreamDecoder, portion: bytes) -> list[Chunk]:
    """What one portion brings."""
    chunks: list[Chunk] = []
    decoder.feed(portion, chunks)
    return chunks


def whole_streams() -> list[str]:
    """The cassettes that hold a finished answer."""
    names = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/*.sse"))
    return [name for name in names if TERMINAL[name.partition("/")[0]] in read(name) and "no_resources" not in name]


def single_bytes(body: bytes) -> list[bytes]:
    return [body[at : at + 1] for at in range(len(body))]
