"""The trained head of `core/answer_head` as a file: numpy arrays, read once.

`answer_head.npz` was made by `make train-answer-head` (`offline/train_answer_head.py` is the recipe) on 2026-11-23 from
790 questions of GSM8K with Mixtral 8x7B's answers and whether it and GPT-4 of November 2023 were right: lm-sys/RouteLLM
0b64fda, Apache-2.0 (GSM8K itself is MIT, Mixtral's weights and so its answers Apache-2.0), which allow weights to be
learned and shipped. It holds 37 coefficients and no text. What it is worth: `make eval-review`.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from gateway.core.answer_checks import answer_signs
from gateway.core.answer_head import AnswerHead

SHIPPED = Path(__file__).with_name("answer_head.npz")
SIGNS = tuple(answer_signs("", ""))
_EPOCH = (1980, 1, 1, 0, 0, 0)
_ARRAYS = ("centre", "spread", "weights", "targets", "thresholds")


class AnswerHeadError(ValueError):
    """A file that is not this version's head; the message says what to do."""


def save(head: AnswerHead, path: Path) -> None:
    """The same head always gives the same bytes."""
    arrays = {name: getattr(head, name) for name in _ARRAYS}
    arrays |= {"intercept": np.array(head.intercept), "signs": np.array(SIGNS)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), buffer.getvalue(), zipfile.ZIP_DEFLATED)


def load(path: Path = SHIPPED) -> AnswerHead:
    """Raises AnswerHeadError for a head of other signs than this version's, and OSError without the file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        signs, intercept = tuple(arrays.pop("signs").tolist()), float(arrays.pop("intercept"))
        if signs != SIGNS:
            raise AnswerHeadError(f"{path} was trained with other signs; run `make train-answer-head`")
        return AnswerHead(intercept=intercept, **{name: arrays[name] for name in _ARRAYS})
    except (EOFError, KeyError, zipfile.BadZipFile, ValueError) as error:
        if isinstance(error, AnswerHeadError):
            raise
        raise AnswerHeadError(f"{path} holds no answer head ({error}); run `make train-answer-head`") from error
