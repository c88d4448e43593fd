from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.checks.fences import Block, Parted, parted


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        ("No code.", Parted((), "No code.")),
        ("So:\n```Python\nx = 1\n```\nDone.", Parted((Block("python", "x = 1"),), "So:\nDone.")),
        ("```\na\n```\n~~~json\n{}\n~~~", Parted((Block("", "a"), Block("json", "{}")), "")),
        ("````md\n```py\nx\n```\n````", Parted((Block("md", "```py\nx\n```"),), "")),
        ("   ```py title=a\n   x\n   ```", Parted((Block("py", "   x"),), "")),
        ("So:\n```py\nx = 1", Parted((), "So:\n```py\nx = 1")),
        ("Use ```x``` here.", Parted((), "Use ```x``` here.")),
    ],
)
def test_closed_fences_are_parted_from_the_rest(answer: str, parts: Parted) -> None:
    assert parted(answer) == parts


@given(st.text(st.sampled_from("`~\na py")))
def test_no_line_is_lost_but_the_fences_own(answer: str) -> None:
    parts = parted(answer)
    kept = parts.prose.count("\n") + sum(block.text.count("\n") + 1 for block in parts.blocks)
    assert kept <= answer.count("\n") + 1
