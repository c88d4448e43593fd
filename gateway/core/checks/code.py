"""Code that does not parse: Python and JSON, in fences that say what they hold.

Nothing is run. Python is read by this interpreter's own parser, which is given no more than `MAX_CHARS` and nothing
that nests deep (its stack is C's), and whose doubts about newer syntax than its own are not believed. Examples that are
not meant to be whole (`...`, a shell's prompt, a placeholder in angle brackets) are left alone.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Sequence

import orjson

from gateway.core.checks.fences import Block

MAX_CHARS = 8_000
"""Of one block: 8 ms of parsing at most (2026-11, dense code). Longer ones are not looked at."""
MAX_BLOCKS = 8
_MAX_NESTING = 40
_PYTHON = frozenset({"python", "py", "python3"})
_NOT_A_FILE = re.compile(
    r"^\s*(?:>>>|In \[|[!%$]|\.\.\.)|<[a-z_ -]+>|\[(?:your|insert)\b|^\s*print [\"'\w]", re.MULTILINE
)
_NEWER = re.compile(
    r"^\s*(?:type \w+.*=|(?:async )?(?:def|class) \w+\[)|except\s+\w+\s*,\s*\w+\s*:|\bt[\"']", re.MULTILINE
)
_NOT_JSON = re.compile(r"//|/\*|\.\.\.|…|<[\w ]+>|^\s*#|'", re.MULTILINE)
_OPENS = re.compile(r"[(\[{]|[-+~]|\bnot\b|\blambda\b|\bif\b|\*\*|\.")


def code_fault(blocks: Sequence[Block]) -> str | None:
    for block in blocks[:MAX_BLOCKS]:
        if len(block.text) > MAX_CHARS:
            continue
        if block.language in _PYTHON and not _is_python(block):
            return "Python that does not parse"
        if block.language == "json" and not _is_json(block.text):
            return "JSON that does not parse"
    return None


def _is_python(block: Block) -> bool:
    """True where that cannot be told."""
    source = textwrap.dedent(block.text)
    if _NOT_A_FILE.search(source) or _NEWER.search(source) or _nests_deep(source):
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `"\d"` is a warning of the parser's, and none of ours
            ast.parse(source)
    except SyntaxError as error:
        return "f-string" in str(error)  # nested quotes are allowed from Python 3.12 on
    except (ValueError, RecursionError, MemoryError):
        return True
    return True


def _nests_deep(source: str) -> bool:
    """More openings on a line than people write, or brackets that stay open: what could exhaust the parser's stack."""
    if any(len(_OPENS.findall(line)) > 4 * _MAX_NESTING for line in source.split("\n")):
        return True
    depth = deepest = 0
    for sign in source:
        if sign in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif sign in ")]}":
            depth -= 1
    return (
        deepest > _MAX_NESTING or max((len(line) - len(line.lstrip()) for line in source.split("\n")), default=0) > 200
    )


def _is_json(text: str) -> bool:
    """One value, or one a line. True where it is only meant to look like JSON."""
    if _NOT_JSON.search(text):
        return True
    return _parses(text) or all(_parses(line) for line in text.splitlines() if line.strip())


def _parses(text: str) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True
