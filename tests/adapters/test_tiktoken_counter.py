from __future__ import annotations

import asyncio
import base64
import hashlib
from pathlib import Path

import pytest
import tiktoken

from gateway.adapters.tiktoken_counter import TiktokenCounter, packaged_vocabulary, read_ranks

SAMPLES = [
    "",
    "Hello world, café 你好 1234",
    "def f(x):\n    return x ** 2  # square\r\n\r\n",
    "I'm sure you'll SAY it's fine; don't you?  \t 3.14159 <|endoftext|>",
    "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz",
    "🦀🦀🦀 \u200b zero width, Ελληνικά, العربية",
]


@pytest.fixture
def counter() -> TiktokenCounter:
    return TiktokenCounter()


async def test_counts_are_tiktokens_own(
    counter: TiktokenCounter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = read_ranks(packaged_vocabulary().read_bytes())
    lines = b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items())
    url = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"  # only hashed, never fetched
    (tmp_path / hashlib.sha1(url.encode()).hexdigest()).write_bytes(lines)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    theirs = tiktoken.get_encoding("o200k_base")
    for text in SAMPLES:
        assert await counter.count(text) == len(theirs.encode_ordinary(text))
    await counter.stop()


async def test_a_long_text_is_counted_off_the_loop(counter: TiktokenCounter) -> None:
    await counter.count("load")
    turns = 0
    counting = asyncio.ensure_future(counter.count("the quick brown fox " * 50_000))
    while not counting.done():
        await asyncio.sleep(0)
        turns += 1
    assert await counting == 200_001
    assert turns > 5
    await counter.stop()


async def test_concurrent_first_counts_all_get_an_answer(counter: TiktokenCounter) -> None:
    assert await asyncio.gather(*(counter.count("hello world") for _ in range(5))) == [2] * 5
    await counter.stop()


async def test_a_lone_surrogate_is_counted_and_not_raised(counter: TiktokenCounter) -> None:
    assert await counter.count("\ud800") > 0
    await counter.stop()


@pytest.mark.parametrize("cut", [0, 3, 1_000])
async def test_a_vocabulary_that_is_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    broken = tmp_path / "o200k.vocab"
    broken.write_bytes(packaged_vocabulary().read_bytes()[:cut])
    counter = TiktokenCounter(broken)
    with pytest.raises(ValueError, match="cut short"):
        await counter.count("hello")
    await counter.stop()


async def test_another_vocabulary_is_refused_by_its_digest(tmp_path: Path) -> None:
    other = tmp_path / "o200k.vocab"
    data = bytearray(packaged_vocabulary().read_bytes())
    data[6] ^= 1
    other.write_bytes(data)
    counter = TiktokenCounter(other)
    with pytest.raises(ValueError, match="not the vocabulary"):
        await counter.count("hello")
    await counter.stop()
