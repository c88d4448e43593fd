"""Signs in an answer that it is wrong: sums that do not add up, numbers out of nowhere, no final answer.

Nothing here needs a model or the truth. Each sign is a count or a share read from the question and the answer; a
trained head weighs them (`core/router`), because none is proof: a right answer may round, and a wrong one may add up.
Measured on GSM8K with Mixtral's answers, 2026-11-23: `make eval-routing`, row R4.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

SCANNED_CHARS = 6_000
"""Only this much of an answer is read, its end: the result stands there."""
_MOST_STEPS = 100
"""Each is looked up among all before it."""

_NUMBER = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+")
_SUM = re.compile(r"((?:[\d.,()%$+*/×÷x -]|\\\*){2,80}?[\d)%])\s*=\s*[$£€]?\s*(-?[\d,]*\.?\d+)")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|\.\d+|[()+*/-]")
_FINAL = re.compile(r"(?:####|\banswer is:?|\\boxed\{)\s*[$£€]?\s*(-?[\d,]*\.?\d+)")
_DOUBT = re.compile(
    r"\b(?:cannot|can't|unknown|unclear|not (?:enough|given|specified|provided|possible)|assum\w+|approximately|about|"
    r"however|but since|mistake|sorry|let's say|for example|if we)\b"
)
_ALGEBRA = re.compile(r"\b(?:let|equations?|variables?|substitut\w+|solv(?:e|ing))\b|\b[a-z] =|\d[xyz]\b")
_RATIO = re.compile(r"%|\b(?:percent|half|third|quarter|twice|thrice|double|triple|times|fraction|ratio|per|dozen)\b")
_TWISTS = re.compile(
    r"\b(?:more|less|fewer|than|remaining|rest|left|except|only|after|before|instead|if|every|another|difference)\b"
)
_WORDED = {
    "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0, "eight": 8.0,
    "nine": 9.0, "ten": 10.0, "eleven": 11.0, "twelve": 12.0, "twenty": 20.0, "thirty": 30.0, "hundred": 100.0,
    "half": 0.5, "twice": 2.0, "double": 2.0, "triple": 3.0, "third": 3.0, "quarter": 4.0, "dozen": 12.0,
    "couple": 2.0, "once": 1.0, "week": 7.0, "weeks": 7.0, "year": 12.0, "hour": 60.0, "hours": 60.0, "day": 24.0,
}  # fmt: skip
_EVERYDAY = frozenset((0.0, 1.0, 2.0, 0.5, 100.0, 7.0, 12.0, 24.0, 60.0, 52.0, 365.0, 30.0))
"""Numbers that need no source: halves, per cent, days, months, hours."""


@dataclass(frozen=True, slots=True)
class Calculation:
    """One `operands = said` of the answer; `value` is what it really comes to, None where it cannot be computed."""

    operands: tuple[float, ...]
    said: float
    value: float | None
    division: bool

    @property
    def wrong(self) -> bool:
        """Off by more than rounding to two places would explain."""
        return self.value is not None and abs(self.value - self.said) > 0.006 * max(1.0, abs(self.value))


def answer_signs(question: str, answer: str) -> dict[str, float]:
    """Every sign by name, in a fixed order. Pure, linear in the texts; counts are logarithms, shares are 0 to 1."""
    read = answer[-SCANNED_CHARS:].replace("\\*", "*")
    lower, asked = read.lower(), question.lower()
    given = numbers_in(asked)
    steps = list(islice(calculations(read), _MOST_STEPS))
    final = final_number(read)
    return {
        **_sums(steps, given),
        **_ending(read, asked, steps, final, given),
        **_sources(steps, given),
        "doubt": _log_count(_DOUBT, lower),
        "algebra": _log_count(_ALGEBRA, lower),
        "answer length": math.log1p(len(answer)),
        "lines": math.log1p(read.strip().count("\n")),
        "prose a step": math.log1p(len(read) / (1 + len(steps))),
        "marked sums": float("<<" in read),
        "question length": math.log1p(len(question)),
        "question numbers": math.log1p(len(given)),
        "question ratios": _log_count(_RATIO, asked),
        "question twists": _log_count(_TWISTS, asked),
        "question sentences": math.log1p(asked.count(". ") + asked.count("? ")),
    }


def numbers_in(text: str) -> set[float]:
    """The numbers of a text in lower case, those in words too (`a dozen` is 12)."""
    figures = {_value(found) for found in _NUMBER.findall(text)}
    return figures | {_WORDED[word] for word in re.findall(r"[a-z]+", text) if word in _WORDED}


def calculations(answer: str) -> Iterator[Calculation]:
    """What the answer computes, in its order. Of GSM8K's `20*2 = <<20*2=40>>40` only the marked sum."""
    marked = re.findall(r"<<([^<>=]{1,80})=(?:[^<>=]{1,80}=)*(-?[\d,]*\.?\d+)[^<>]{0,20}>>", answer)
    for left, right in marked or _SUM.findall(answer):
        tokens = _TOKEN.findall(left.replace(",", "").replace("x", "*").replace("×", "*").replace("÷", "/"))
        operands = tuple(float(token) for token in tokens if token[0].isdigit() or token[0] == ".")
        if operands and (said := _value(right)) is not None and len(tokens) > 1:
            yield Calculation(operands, said, computed(tokens), "/" in tokens)


def final_number(answer: str) -> float | None:
    """What the answer gives as its result: after `####`, `answer is` or `\\boxed`, the last one."""
    found = _FINAL.findall(answer)
    return _value(found[-1]) if found else None


def _sums(steps: list[Calculation], given: set[float]) -> dict[str, float]:
    said = [step.said for step in steps]
    return {
        "wrong sums": math.log1p(sum(step.wrong for step in steps)),
        "uncomputed sums": math.log1p(sum(step.value is None for step in steps)),
        "steps": math.log1p(len(steps)),
        "no steps": float(not steps),
        "steps a number": len(steps) / (1 + len(given)),
        "divisions": math.log1p(sum(step.division for step in steps)),
        "negative results": float(any(value < 0 for value in said)),
        "fractional results": math.log1p(sum(not float(value).is_integer() for value in said)),
        "unending results": float(any(abs(100 * value - round(100 * value)) > 1e-6 for value in said)),
        "long sums": math.log1p(max((len(step.operands) for step in steps), default=0)),
        "repeated results": math.log1p(len(said) - len(set(said))),
    }


def _ending(
    answer: str, asked: str, steps: list[Calculation], final: float | None, given: set[float]
) -> dict[str, float]:
    last = steps[-1].said if steps else None
    value = final or 0.0
    counted = "how many" in asked
    return {
        "no final answer": float(final is None),
        "ends mid-sentence": float(not answer.rstrip().endswith((".", "!", "?", "}")) and final is None),
        "final is the last result": float(final is not None and last is not None and abs(final - last) < 0.01),
        "final was computed": float(any(abs(step.said - value) < 0.01 for step in steps)),
        "final is given": float(final is not None and final in given),
        "fraction where a count was asked": float(counted and not value.is_integer()),
        "final is fractional": float(not value.is_integer()),
        "final size": math.copysign(math.log1p(abs(value)), value),
        "final against the largest": math.log1p(abs(value)) - math.log1p(max(given, default=0.0)),
        "text after the final": float(final is not None and len(answer.rsplit("####", 1)[-1].strip()) > 30),
    }


def _sources(steps: list[Calculation], given: set[float]) -> dict[str, float]:
    """Whether each number came from the question or from an earlier step, and whether each was used."""
    known, used, strange, total = set(given), set[float](), 0, 0
    for step in steps:
        for operand in step.operands:
            total += 1
            used.add(operand)
            strange += operand not in _EVERYDAY and not _among(operand, known)
        known.add(step.said)
    results = [step.said for step in steps[:-1]]
    unused = {number for number in given if number not in used and number / 100 not in used}
    return {
        "numbers from nowhere": math.log1p(strange),
        "share from nowhere": strange / (1 + total),
        "given numbers unused": math.log1p(len(unused)),
        "share unused": len(unused) / (1 + len(given)),
        "results unused": math.log1p(sum(not _among(value, used) for value in results)),
    }


def _among(number: float, known: Iterable[float]) -> bool:
    """Per cents and their complements count as known: 20 % is used as 0.2 and as 0.8."""
    return any(
        abs(number - source) < 0.006 * max(1.0, abs(source)) or number in (source / 100, 1 - source / 100, 100 - source)
        for source in known
    )


def _log_count(pattern: re.Pattern[str], text: str) -> float:
    return math.log1p(len(pattern.findall(text)))


def _value(digits: str) -> float:
    return float(digits.replace(",", ""))


def computed(tokens: list[str]) -> float | None:
    """The value of a sum: `+ - * /` and brackets, by precedence. None for what is no sum, or divides by zero."""
    try:
        value, rest = _expression(tokens, 0, 0)
    except (IndexError, ValueError, ZeroDivisionError):
        return None
    return value if rest == len(tokens) else None


_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2}
_DEEPEST = 20


def _expression(tokens: list[str], at: int, binding: int, depth: int = 0) -> tuple[float, int]:
    """Precedence climbing: the value from `at` on as long as operators bind tighter, and where it ended."""
    if depth > _DEEPEST:
        raise ValueError("too deep to be a sum")
    if tokens[at] == "(":
        value, at = _expression(tokens, at + 1, 0, depth + 1)
        at += tokens[at] == ")"
    elif tokens[at] == "-":
        value, at = _expression(tokens, at + 1, 2, depth + 1)
        value = -value
    else:
        value, at = float(tokens[at]), at + 1
    while at < len(tokens) and _BINDS.get(tokens[at], 0) > binding:
        operator = tokens[at]
        right, at = _expression(tokens, at + 1, _BINDS[operator], depth + 1)
        value = {"+": value + right, "-": value - right, "*": value * right}.get(operator, value / (right or math.nan))
    return value, at
