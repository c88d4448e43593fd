from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.checks.code import MAX_CHARS, code_fault
from gateway.core.checks.fences import parted


def fenced(language: str, text: str) -> str:
    return f"Here it is:\n\n```{language}\n{text}\n```\nEnjoy!"


def fault(answer: str) -> str | None:
    return code_fault(parted(answer).blocks)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "def f(:\n    return 1"),
        ("py", "for i in range(3)\n    print(i)"),
        ("python", "x = (1, 2"),
        ("json", '{"a": 1,}'),
        ("json", '{"a": 1'),
    ],
)
def test_code_that_does_not_parse_is_found(language: str, text: str) -> None:
    assert fault(fenced(language, text)) is not None


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "def f(x):\n    return x\n\nawait f(1)"),
        ("python", "    def indented(self):\n        return '\\d'"),
        ("python", ">>> 1 +\n"),
        ("python", "!pip install x\nimport x"),
        ("python", "def first[T](items: list[T]) -> T: ..."),
        ("python", 'print(f"{d["a"]}")'),
        ("python", "client = Client(<your key>)"),
        ("python", "print 'hello'"),
        ("python", "class A:\n    ..."),
        ("json", '{"a": 1, "b": [true, null]}'),
        ("json", '{"a": 1}\n{"a": 2}'),
        ("json", '{"a": 1, ...}'),
        ("json", '{"a": 1} // the first'),
        ("jsonc", '{"a": 1,}'),
        ("", "def f(:"),
        ("rust", "fn main( {"),
        ("text", "}{"),
    ],
)
def test_code_that_parses_or_is_not_meant_to_has_no_fault(language: str, text: str) -> None:
    assert fault(fenced(language, text)) is None


def test_a_fence_that_was_never_closed_is_not_read() -> None:
    assert fault("```python\ndef f(") is None


BOMBS = [
    "(" * 4_000,
    "[" * 3_000 + "]" * 3_000,
    "-" * 7_000 + "1",
    "not " * 1_900 + "x",
    "lambda: " * 990 + "1",
    "1" + "+1" * 3_900,
    "a" + ".a" * 3_900,
    "a" + "[0]" * 2_600,
    "a" + "()" * 3_900,
    "x if y else " * 660 + "z",
    "\n".join(" " * at + "if x:" for at in range(120)),
    "x = " * 1_900 + "1",
    "1" + "**1" * 2_600,
    "f'{" * 900,
    "elif x:\n" * 900,
    "a < " * 1_900 + "a",
    "\n".join(["if x:", " pass", *["elif x:\n pass"] * 500]),
]


@pytest.mark.parametrize("bomb", BOMBS, ids=range(len(BOMBS)))
def test_a_bomb_neither_ends_the_process_nor_takes_long(bomb: str) -> None:
    began_s = time.thread_time()
    fault(fenced("python", bomb[:MAX_CHARS]))
    assert time.thread_time() - began_s < 1.0


def test_what_is_longer_than_the_cap_is_not_read() -> None:
    assert fault(fenced("python", "def f(:\n" * 2_000)) is None


@given(st.text(st.sampled_from("()[]{}:=+-*.,'\"\\\n x1if lambda not def#@"), max_size=300))
def test_no_text_at_all_raises(text: str) -> None:
    fault(fenced("python", text))
    fault(fenced("json", text))
