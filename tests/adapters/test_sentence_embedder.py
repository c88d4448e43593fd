"""Without the extra; the real model is tested in tests/extras, in a virtualenv that has torch."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from gateway.adapters.sentence_embedder import SentenceEmbedder


@pytest.mark.skipif(find_spec("sentence_transformers") is not None, reason="the extra is installed here")
async def test_a_missing_extra_is_named_at_start() -> None:
    embedder = SentenceEmbedder("some/model")
    with pytest.raises(ModuleNotFoundError, match=r"thriftgate\[semantic\]"):
        await embedder.start()
    await embedder.stop()


async def test_before_start_it_says_that_no_model_is_loaded() -> None:
    embedder = SentenceEmbedder("some/model")
    with pytest.raises(RuntimeError, match="no model is loaded"):
        await embedder.embed(["hello"])
    await embedder.stop()


def test_the_engine_names_the_model_so_that_collections_never_mix() -> None:
    assert SentenceEmbedder("some/model").engine == "sentence-some/model"
