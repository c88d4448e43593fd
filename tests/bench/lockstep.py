"""Both ends of a gateway that is being counted, each in threads of its own: a provider that sends the next event of a
stream once the client has heard the one before, so that each is a read and a write however fast the machine is."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

from tests.bench.contestants import CHAT, KEY, body

_PATIENCE_S = 10.0
_HEAD = {"id": "chatcmpl-1", "created": 1, "model": "mock-model"}
_USAGE = {"prompt_tokens": 220, "completion_tokens": 120, "total_tokens": 340}
_WORD = "word "


class Lockstep:
    """What the provider has sent and the client has heard of the stream that is under way."""

    def __init__(self) -> None:
        self.heard = threading.Semaphore(0)


@contextmanager
def providing(lockstep: Lockstep) -> Iterator[str]:
    """The base URL of a provider on loopback, until the block ends."""

    class Answering(_Answering):
        step = lockstep

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


class _Answering(BaseHTTPRequestHandler):
    """Always the same; a stream has as many words as `max_tokens` asks for."""

    step: Lockstep
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if asked.get("stream"):
            self._stream(asked["max_tokens"])
            return
        message = {"role": "assistant", "content": 120 * _WORD}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        text = json.dumps({**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()
        self._head("application/json", "content-length", str(len(text)))
        self.wfile.write(text)

    def _stream(self, words: int) -> None:
        self.step.heard = threading.Semaphore(0)
        self._head("text/event-stream", "transfer-encoding", "chunked")
        self._event({"role": "assistant", "content": ""})
        for number in range(words):
            if number:
                self.step.heard.acquire(timeout=_PATIENCE_S)
            self._event({"content": _WORD})
        self.step.heard.acquire(timeout=_PATIENCE_S)
        self._event({}, finish_reason="stop", usage=_USAGE)
        self._chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, delta: dict[str, str], finish_reason: str | None = None, **more: Any) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        chunk = {**_HEAD, "object": "chat.completion.chunk", "choices": [choice], **more}
        self._chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    def _chunk(self, part: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))

    def _head(self, kind: str, framing: str, value: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header(framing, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


class Client:
    """One kept connection, which asks one request after the other; with another number, it asks what others do not."""

    def __init__(self, port: int, lockstep: Lockstep, number: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._step = lockstep
        self._numbers = count(number * 1_000_000)

    def misses(self, times: int) -> None:
        for _ in range(times):
            self._found_by(CHAT, _numbered(_MISS, next(self._numbers)), "miss")

    def hits(self, times: int) -> None:
        for _ in range(times):
            self._found_by(CHAT, _HIT, "hit")

    def remember(self) -> None:
        """Ask until it is a hit: an answer is stored a moment after it was given."""
        while self._whole(CHAT, _HIT) != "hit":
            pass

    def bare(self, times: int) -> None:
        for _ in range(times):
            self._found_by("/bare", _MISS, None)

    def streams(self, times: int, words: int) -> None:
        text = json.dumps({**json.loads(_STREAM), "max_tokens": words})
        for _ in range(times):
            response = self._ask(CHAT, _numbered(text, next(self._numbers)))
            for line in iter(response.readline, b""):
                if _WORD.encode() in line:
                    self._step.heard.release()

    def _found_by(self, path: str, text: str, verdict: str | None) -> None:
        found = self._whole(path, text)
        if found != verdict:
            raise RuntimeError(f"asked for a {verdict}, and it was a {found}")

    def _whole(self, path: str, text: str) -> str | None:
        """What the cache has said."""
        response = self._ask(path, text)
        response.read()
        return response.headers["x-thriftgate-cache"]

    def _ask(self, path: str, text: str) -> http.client.HTTPResponse:
        headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
        self._connection.request("POST", path, text, headers)
        response = self._connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {response.read().decode()}")
        return response


_MISS, _HIT, _STREAM = body("miss", "mock-model"), body("hit", "mock-model"), body("stream", "mock-model")


def _numbered(text: str, number: int) -> str:
    return text.replace("@@@@@@@@@@", f"{number:010}")
