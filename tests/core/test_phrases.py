from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.phrases import Phrases, beginnings

LABELLED = {
    "proof": r"prove (?:that|it)|theorem|deriv(?:e|ation)",
    "trade": r"trade-?offs?|np-hard|reaction mechanism|optimi[sz]e",
    "greeting": r"\A(?:hi|good (?:morning|evening))\b.{0,9}\Z",
    "chance": r"(?:in|to) the (?:text|margin)|chances?|reaction|eigen\w+|don't|how (?:can|do)",
}
WHOLE = re.compile(r"\b(?:" + "|".join(f"(?P<{label}>{words})" for label, words in LABELLED.items()) + r")(?!\w)")
SAID = (
    "prove that theorem theorems derivation derive trade-off tradeoffs np-hard reaction mechanism mechanisms optimise "
    "hi good morning in the text to the margin chance chances eigenvalue eigen don't how can do s_how éin"
)
PIECES = SAID.split()
TEXTS = st.lists(st.sampled_from([*PIECES, " ", "\n", ".", "-", "'", "x", "é", "_", "1"])).map("".join)


@given(st.one_of(TEXTS, st.lists(st.sampled_from(PIECES)).map(" ".join)))
def test_what_is_found_is_what_one_pattern_of_all_would_find(text: str) -> None:
    expected = [match.lastgroup for match in WHOLE.finditer(text)]
    assert Phrases(LABELLED).found(text, beginnings(text)) == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the reaction mechanism, and the reaction", ["trade", "chance"]),
        ("hi there", ["greeting"]),
        ("oh hi there", []),
        ("in the textbook, in the text", ["chance"]),
    ],
)
def test_the_first_of_those_that_match_in_a_place_is_found(text: str, found: list[str]) -> None:
    assert Phrases(LABELLED).found(text, beginnings(text)) == found
