"""Any Hugging Face sentence-embedding model, by id or local path (the `semantic` extra: sentence-transformers)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Executor

_BATCH_TEXTS = 16
_READ_CHARACTERS = 32_000
"""A longer text is beyond any window it is asked about; counting its tokens would hold up the event loop."""


class SentenceEmbedder:
    """`ports.Embedder` in one owned thread: torch with two threads collapses on busy cores (measured 2026-11-23).

    `dimensions` and `max_tokens` belong to the model, so they are known once `start` has loaded it.
    """

    def __init__(self, model: str, *, allow_download: bool = False) -> None:
        """`model` is a hub id (`BAAI/bge-small-en-v1.5`) or a folder.

        Without `allow_download` only a folder or the local hub cache is read, and no host is ever contacted.
        """
        self.engine = f"sentence-{model}"
        self._name = model
        self._allow_download = allow_download
        self._thread: Executor = ThreadPoolExecutor(1, thread_name_prefix="sentence-embedder")
        self._loaded_model: Any = None

    async def start(self) -> None:
        """Load the model. Raises ModuleNotFoundError naming the extra, OSError for a model that is not there."""
        self._loaded_model = await asyncio.get_running_loop().run_in_executor(self._thread, self._load)

    async def stop(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def dimensions(self) -> int:
        return int(self._model.get_embedding_dimension())

    @property
    def max_tokens(self) -> int:
        return int(self._model.max_seq_length or 512)  # None: the model has no window; 512 is BERT's

    def count_tokens(self, text: str) -> int:
        """Tokens including the model's own, not cut. Above 32,000 characters an estimate beyond the window."""
        if len(text) > _READ_CHARACTERS:
            return max(self.max_tokens + 1, len(text) // 4)
        return len(self._model.tokenizer(text, truncation=False, verbose=False)["input_ids"])

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Unit vectors in the order of `texts`. Raises RuntimeError before `start`, and what torch raises."""
        model = self._model
        return await asyncio.get_running_loop().run_in_executor(self._thread, _encode, model, list(texts))

    @property
    def _model(self) -> Any:
        if self._loaded_model is None:
            raise RuntimeError("SentenceEmbedder.start() has not finished: no model is loaded")
        return self._loaded_model

    def _load(self) -> Any:
        try:
            import torch  # type: ignore[import-not-found, unused-ignore]  # an extra, absent where we lint
            from sentence_transformers import (  # type: ignore[import-not-found, unused-ignore]  # the same extra
                SentenceTransformer,
            )
        except ModuleNotFoundError as exc:
            raise ModuleNotFoundError(
                f"the embedder {self._name!r} needs the extra `semantic`: pip install 'thriftgate[semantic]'"
            ) from exc
        torch.set_num_threads(1)
        folder = self._name if Path(self._name).is_dir() or self._allow_download else self._in_hub_cache()
        return SentenceTransformer(folder, device="cpu", local_files_only=not self._allow_download)

    def _in_hub_cache(self) -> str:
        """Its folder in the local cache. Given the id itself, sentence-transformers 6.2.0 asks the hub all the same."""
        from huggingface_hub import snapshot_download

        try:
            return str(snapshot_download(self._name, local_files_only=True))
        except OSError as exc:
            raise FileNotFoundError(
                f"the embedding model {self._name!r} is no folder and not in the local hub cache; downloading is off"
            ) from exc


def _encode(model: Any, texts: list[str]) -> list[list[float]]:
    if not texts:
        return []
    vectors: list[list[float]] = model.encode(
        texts, batch_size=_BATCH_TEXTS, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
    ).tolist()
    return vectors
