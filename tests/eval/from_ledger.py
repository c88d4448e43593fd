"""Goal R3 through the command: 1,000 labels in a ledger made from dev data, `python -m tests.eval.from_ledger`.

LLMRouter's fourteen tasks, Mistral 7B against Nemotron 51B (`routing_sets.open_outcomes`). Labels are either ratings,
which say only what the light answer was worth, as a user would; or comparisons, which say whether the strong one was
better, as a shadow check with a faultless judge would. The rest of the traffic is the test. Skips in one line without
the data.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import orjson

from gateway.adapters.router_weights import load
from gateway.core.events import Event, HitChecked, PromptKept, Rated
from gateway.core.false_hits import Verdict
from gateway.core.ledger_lines import told_record
from gateway.core.prompt_numbers import numbers_of, packed
from gateway.offline.routing_sets import Outcome, open_outcomes
from gateway.offline.train_from_ledger import train_from_ledger
from gateway.offline.train_router import apgr, blend, features_for, prompts_on, scores_of
from tests.eval.routing import DRAWS, LABELS, data_folder


def rating(id: str, outcome: Outcome) -> Rated:
    return Rated(id, "eval", outcome.light, "up" if outcome.light >= 0.5 else "down")


def comparison(id: str, outcome: Outcome) -> HitChecked:
    verdict: Verdict = "different" if outcome.strong > outcome.light else "same"
    light_better = outcome.light > outcome.strong
    return HitChecked(
        id,
        "eval",
        "nemotron-51b",
        verdict,
        True,
        None,
        0,
        0.0,
        0.0,
        1.0,
        of="light",
        light_better=light_better,
    )


LABELLED: dict[str, Callable[[str, Outcome], Event]] = {"ratings": rating, "comparisons": comparison}


def written(folder: Path, outcomes: Sequence[Outcome], label: str) -> None:
    """A ledger of these prompts, each answered lightly and labelled."""
    folder.mkdir()
    with (folder / "2026-11-23.000001.ndjson").open("wb") as file:
        for at, outcome in enumerate(outcomes):
            numbers = packed(numbers_of(features_for(outcome.prompt)))
            kept = PromptKept(f"req_{at}", "eval", "light", "mistral-7b", numbers)
            for event in (kept, LABELLED[label](f"req_{at}", outcome)):
                file.write(orjson.dumps(told_record(event, float(at)), option=orjson.OPT_APPEND_NEWLINE))


def area(folder: Path, learned_from: Sequence[Outcome], test: Sequence[Outcome], label: str) -> float:
    written(folder / "ledger", learned_from, label)
    trained = train_from_ledger(folder / "ledger", folder / "new.npz")
    weights = load(trained.path)
    prompts = prompts_on(weights.scale, [outcome.prompt for outcome in test])
    scores = blend(scores_of(weights.light, prompts.rows), prompts, weights)
    print(*(f"  {line}" for line in trained.report[:-1]), sep="\n", flush=True)
    return apgr(np.array([outcome.strong - outcome.light for outcome in test]), scores)


def main() -> int:
    outcomes = open_outcomes(data_folder()) if (data_folder() / "llmrouter11.dev.jsonl").exists() else []
    if not outcomes:
        print(f"skipped: no outcomes in {data_folder()} (set THRIFTGATE_EVAL_DATA)")
        return 0
    means = {label: mean_area(outcomes, label) for label in LABELLED}
    return 0 if max(means.values()) >= 0.7 else 1


def mean_area(outcomes: Sequence[Outcome], label: str) -> float:
    areas = []
    for draw in range(DRAWS):
        order = np.random.RandomState(draw).permutation(len(outcomes))
        learned_from, test = ([outcomes[at] for at in part] for part in (order[:LABELS], order[LABELS:]))
        with tempfile.TemporaryDirectory() as folder:
            areas.append(area(Path(folder), learned_from, test, label))
    mean = float(np.mean(areas))
    print(f"R3 by {LABELS} {label}: APGR {mean:.3f} ({min(areas):.3f} to {max(areas):.3f}), goal .70", flush=True)
    return mean


if __name__ == "__main__":
    sys.exit(main())
