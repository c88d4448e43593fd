"""How often the review of light answers is right, and how often it is a false alarm: `make eval-review`.

Reads `cascade_gsm8k.dev.jsonl` (790 answers of Mixtral 8x7B with whether they are right) and the prompts beside it from
`$THRIFTGATE_EVAL_DATA/routing` (default `../shared/data/routing`); without them only the cases written by hand are
counted. Exits with 1 when a goal is missed. A false alarm is a right answer that does not pass: it is paid twice.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from gateway.adapters.answer_head import load
from gateway.core.answer_head import is_worked_sum
from gateway.core.chat import ChatRequest, parse_chat
from gateway.core.checks.counts import counts_asked
from gateway.core.checks.wording import script_fault, wording_fault
from gateway.core.chunks import Completion
from gateway.core.review import Finding, Terms, review
from gateway.offline.train_answer_head import TARGETS, Worked, train, worked_sums
from gateway.offline.train_router import folds_of
from tests.eval.review_cases import RIGHT, WRONG
from tests.eval.routing import LIGHT_PRICE, data_folder

FREE = Terms("whole")
Goals = list[tuple[str, bool]]


def asked(question: str) -> ChatRequest:
    return parse_chat({"model": "auto", "messages": [{"role": "user", "content": question}]})


def answered(text: str) -> Completion:
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def reviewed(question: str, answer: str) -> Finding | None:
    return review(asked(question), answered(answer), FREE)


def by_hand() -> tuple[list[str], Goals]:
    alarms = [(question, found) for question, answer in RIGHT if (found := reviewed(question, answer))]
    missed = [
        (question, check, found)
        for question, answer, check in WRONG
        if (found := reviewed(question, answer)) is None or found.check != check
    ]
    lines = [f"cases by hand: {len(RIGHT)} right, {len(alarms)} stopped; {len(WRONG)} wrong, {len(missed)} missed"]
    lines += [f"  stopped: {question!r}: {found}" for question, found in alarms]
    lines += [f"  missed: {question!r}: wanted {check}, got {found}" for question, check, found in missed]
    return lines, [("no case by hand is judged wrongly", not alarms and not missed)]


def on_worked_sums(rows: list[Worked]) -> tuple[list[str], Goals]:
    right = [row for row in rows if row.light]
    wrong = [row for row in rows if not row.light]
    stopped, caught = fired(right), fired(wrong)
    lines = [f"GSM8K, free checks: {len(right)} right answers and {len(wrong)} wrong ones"]
    for check in sorted(stopped | caught):
        lines.append(f"  {check:12} stops {stopped[check]:3} right, {caught[check]:3} wrong")
    alarms = sum(stopped.values()) / len(right)
    lines.append(f"  {'all':12} false alarms {100 * alarms:.2f} %, wrong ones stopped {share(caught, wrong)}")
    return lines, [("false alarms of the free checks <= 1 %", alarms <= 0.01)]


def fired(rows: Iterable[Worked]) -> Counter[str]:
    return Counter(found.check for row in rows if (found := reviewed(row.question, row.answer)))


def share(found: Counter[str], of: list[Worked]) -> str:
    return f"{100 * sum(found.values()) / len(of):.1f} %"


def by_the_head(rows: list[Worked]) -> tuple[list[str], Goals]:
    """In five folds: head and thresholds are learned from four, and judge the fifth."""
    light, strong = (np.array([getattr(row, name) for row in rows]) for name in ("light", "strong"))
    folds = folds_of((row.question for row in rows), salt="outer")
    sent = {target: np.zeros(len(rows), bool) for target in TARGETS}
    for fold in np.unique(folds):
        head = train([row for row, own in zip(rows, folds, strict=True) if own != fold])
        for at in np.flatnonzero(folds == fold):
            for target in TARGETS:
                sent[target][at] = head.fault(rows[at].question, rows[at].answer, target) is not None
    asked_of = np.mean([is_worked_sum(row.question, row.answer) for row in rows])
    lines = [f"GSM8K, trained head (`review.arithmetic`), learned on other folds; asked of {100 * asked_of:.0f} %"]
    for target, on in sent.items():
        kept = np.where(on, strong, light).mean() / strong.mean()
        alarm, catch = on[light == 1].mean(), on[light == 0].mean()
        saved = 1 - (LIGHT_PRICE + on.mean())
        lines.append(
            f"  target {target:.2f}: escalates {100 * on.mean():.0f} %, false alarms {100 * alarm:.0f} % of the right, "
            f"stops {100 * catch:.0f} % of the wrong; quality {100 * kept:.1f} % of always strong "
            f"(light alone {100 * light.mean() / strong.mean():.1f}), cost saved {100 * saved:.0f} %"
        )
    kept_95 = np.where(sent[0.95], strong, light).mean() / strong.mean()
    return lines, [("the head keeps what .95 promises, within 2 points", kept_95 >= 0.93)]


def on_prompts(folder: Path) -> list[str]:
    """How many prompts state what a check reads: those it may ever fire on."""
    prompts = [" ".join(prompt.lower().split())[:2_000] for prompt in prompts_in(folder)]
    counts = sum(any(True for _ in counts_asked(prompt)) for prompt in prompts)
    words = sum(wording_fault(prompt, "") is not None for prompt in prompts)
    scripts = sum(script_fault(prompt, "") is not None for prompt in prompts)
    said = f"limits in numbers {counts}, wording {words}, a script {scripts}"
    return [f"of {len(prompts)} prompts (MMLU, GSM8K, AlpacaEval) ask for something countable: {said}"]


def prompts_in(folder: Path) -> Iterator[str]:
    for name in ("routellm.dev.jsonl", "alpaca_eval.dev.jsonl"):
        with (folder / name).open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)["prompt"]


def speed(rows: list[Worked]) -> list[str]:
    head, terms, times_us = load(), Terms("whole", arithmetic=0.95), []
    for with_head in (False, True):
        took = []
        for row in rows:
            chat, completion = asked(row.question), answered(row.answer)
            began_s = time.thread_time()
            review(chat, completion, terms if with_head else FREE, head)
            took.append(1e6 * (time.thread_time() - began_s))
        times_us.append(np.quantile(took, (0.5, 0.99)))
    return [
        f"CPU of a review: p50 {times_us[0][0]:.0f} µs, p99 {times_us[0][1]:.0f} µs; with the head p50 "
        f"{times_us[1][0]:.0f} µs, p99 {times_us[1][1]:.0f} µs"
    ]


def main() -> int:
    lines, goals = by_hand()
    folder = data_folder()
    rows = worked_sums(folder)
    if rows:
        for more, met in (on_worked_sums(rows), by_the_head(rows)):
            lines += more
            goals += met
        lines += [*on_prompts(folder), *speed(rows)]
    else:
        lines.append(f"worked sums skipped: none in {folder} (set THRIFTGATE_EVAL_DATA)")
    print("\n".join(lines))
    missed = [name for name, met in goals if not met]
    print("goals missed: " + ", ".join(missed) if missed else "goals met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
