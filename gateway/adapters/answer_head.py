"""The trained head of `core/answer_head` as a file: numpy arrays, read once.

`answer_head.npz` was made by `make train-answer-head` (`offline/train_answer_head.py` is the recipe) on 2026-11-23 from
790 questions of GSM8K with Mixtral 8x7B's answers and whether it and GPT-4 of November 2023 were right: lm-sys/RouteLLM
0b64fda, Apache-2.0 (GSM8K itself is MIT, Mixtral's weights and so its answers Apache-2.0), which allow weights to be
learned and shipped. It holds 37 coefficients and no text. What it is worth: `make eval-review`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gateway.adapters.weights_file import Arrays, load_arrays, save_arrays
from gateway.core.answer_checks import answer_signs
from gateway.core.answer_head import AnswerHead

SHIPPED = Path(__file__).with_name("answer_head.npz")
SIGNS = tuple(answer_signs("", ""))
_ARRAYS = ("centre", "spread", "weights", "targets", "thresholds")


def save(head: AnswerHead, path: Path) -> None:
    """The same head always gives the same bytes."""
    arrays = {name: getattr(head, name) for name in _ARRAYS}
    save_arrays({**arrays, "intercept": np.array(head.intercept), "signs": np.array(SIGNS)}, path)


def load(path: Path = SHIPPED) -> AnswerHead:
    """Raises WeightsError for a head of other signs than this version's, and OSError without the file."""
    return load_arrays(path, ("signs", SIGNS), "train-answer-head", _head)


def _head(arrays: Arrays, digest: str) -> AnswerHead:
    return AnswerHead(intercept=float(arrays["intercept"]), **{name: arrays[name] for name in _ARRAYS})
