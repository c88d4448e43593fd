from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.ngrams import BUCKETS, char_buckets, counted, word_buckets


def test_buckets_are_the_same_on_every_machine_and_in_every_process() -> None:
    assert word_buckets("prove it").tolist() == [7975, 4148, 5468, 1718, 6656, 642, 5266]
    assert char_buckets("ab").tolist() == [5123, 3235, 6079]


@given(st.text(max_size=200))
def test_any_text_has_buckets_in_range(text: str) -> None:
    for buckets in (char_buckets(text), word_buckets(text)):
        assert buckets.size == 0 or int(buckets.max()) < BUCKETS


def test_space_of_any_kind_counts_once() -> None:
    assert char_buckets("a  b\n c").tolist() == char_buckets(" a b c ").tolist()


def test_the_order_of_words_matters_to_pairs_only() -> None:
    one, two = (word_buckets(text) for text in ("man bites dog", "dog bites man"))
    assert sorted(one[:5].tolist()) == sorted(two[:5].tolist())
    assert sorted(one[5:].tolist()) != sorted(two[5:].tolist())


@given(st.text(alphabet="ab ", max_size=50))
def test_every_occurrence_is_counted(text: str) -> None:
    buckets = word_buckets(text)
    found, logs = counted(buckets)
    assert round(float(np.expm1(logs).sum())) == len(buckets)
    assert found.tolist() == sorted(set(buckets.tolist()))
