"""The program of a llama.cpp child: load a model, serve it on a loopback port, announce the address.

Run as `python -I llama_script.py JSON`, where JSON is `llama_child.Engine` as an object, with the file's path as
`model` and our name for it as `alias`. It imports nothing of the gateway, because the `python` of
llama-cpp-python may be another virtualenv's.

Once the model is loaded it writes one JSON line, `{"origin": "http://127.0.0.1:…"}`, to standard output and closes
it. Everything else that is written there (llama.cpp prints) goes to standard error, the log. The key that
callers must send comes in the environment, where other users of the machine cannot read it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

KEY = "THRIFTGATE_CHILD_KEY"
_WARNINGS = 2  # llama.cpp's verbosity: at its default, 3, every request adds lines to the log


def serve_xllamacpp(engine: dict[str, Any], key: str, announce: Callable[[str], None]) -> None:
    """llama.cpp's own server, inside this process. It answers from its own threads."""
    import xllamacpp  # type: ignore[import-untyped]  # an extension module without stubs

    params = xllamacpp.CommonParams()
    params.model.path = engine["model"]
    params.model_alias = {engine["alias"]}  # what answers call it: our name, not a path on our disk
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.n_parallel = engine["slots"]
    params.n_ctx = engine["context_tokens"] * engine["slots"]  # llama.cpp divides it among the slots
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = engine["threads"]
        threads.poll = 0  # ggml would spin while it waits: 1 thread with poll 0 is faster on busy cores (2026-11-23)
    params.endpoint_metrics = True
    params.ui = False
    params.verbosity = _WARNINGS
    server = xllamacpp.Server(params)  # returns when the model is loaded and the port is open
    announce(server.listening_address)
    signal.pause()


def serve_llama_cpp_python(engine: dict[str, Any], key: str, announce: Callable[[str], None]) -> None:
    """llama-cpp-python's server, as `python -m llama_cpp.server` runs it, but on a port nobody can take before it."""
    import uvicorn
    from llama_cpp.server.app import create_app  # type: ignore[import-not-found]  # an extra
    from llama_cpp.server.settings import ModelSettings, ServerSettings  # type: ignore[import-not-found]  # an extra

    listener = socket.create_server(("127.0.0.1", 0))
    threads = engine["threads"]
    model = ModelSettings(
        model=engine["model"],
        model_alias=engine["alias"],
        n_ctx=engine["context_tokens"],
        n_threads=threads,
        n_threads_batch=threads,
        verbose=False,
    )
    # interrupt_requests cuts a running stream when another request comes (seen with 0.3.36, 2026-11-23).
    server = ServerSettings(api_key=key, interrupt_requests=False)
    app = create_app(server_settings=server, model_settings=[model])
    announce(f"http://127.0.0.1:{listener.getsockname()[1]}")
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


LAUNCHERS = {"xllamacpp": serve_xllamacpp, "llama-cpp-python": serve_llama_cpp_python}


def main(argv: list[str]) -> None:
    engine = json.loads(argv[0])
    announcements = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def announce(origin: str) -> None:
        with announcements:
            announcements.write(json.dumps({"origin": origin}) + "\n")

    LAUNCHERS[engine["launcher"]](engine, os.environ.pop(KEY), announce)


if __name__ == "__main__":
    main(sys.argv[1:])
