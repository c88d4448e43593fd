"""Sums that an answer states and that do not add up.

Only plain sums are read (`3 * 60 = 180`, numbers and `+ - * /` between them). Of 790 answers of Mixtral 8x7B to GSM8K
it stopped 28 of the 286 wrong ones and 3 of the 504 right ones, two of which do have a wrong sum in them (2026-11-23).
"""

from __future__ import annotations

import re

from gateway.core.answer_checks import computed

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_SUM = re.compile(
    rf"(?<![\w.,$%/*×÷+=()^-])\$?((?:{_NUMBER})(?: ?[*×x÷/+-] ?\$?(?:{_NUMBER})){{1,6}}) ?= ?\$?(-?(?:{_NUMBER}))"
    r"(?![\d.,]*\d|[\w%^]| ?[*×÷/+^-] ?\d| x \d| \d| (?:remainder|r\b|mod))"
)
_READ_CHARS = 12_000
_OFF = 0.01
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[+*/-]")
_ROUNDED = re.compile(r"round|about|approx|≈|~|nearest|whole|remain|left over|mod\b")


def sum_fault(question: str, answer: str) -> str | None:
    read = answer[-_READ_CHARS:].replace("\\*", "*").replace("\\times", "×").replace("**", "")
    for found in _SUM.finditer(read):
        left = found[1].replace(",", "").replace("$", "")
        tokens = _TOKEN.findall(left.replace("x", "*").replace("×", "*").replace("÷", "/"))
        value, said = computed(tokens), float(found[2].replace(",", ""))
        if value is None or abs(value - said) <= _OFF * max(1.0, abs(value)):
            continue
        around = read[max(0, found.start() - 80) : found.end() + 80].lower()
        if "/" in tokens and (abs(value - said) < 1 or _ROUNDED.search(around)):
            continue
        return "a sum that does not add up"
    return None
