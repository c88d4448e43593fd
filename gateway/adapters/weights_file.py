"""What was trained, as a file: numpy arrays by name in a zip, whose bytes depend on nothing but them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]
W = TypeVar("W")
_EPOCH = (1980, 1, 1, 0, 0, 0)


class WeightsError(ValueError):
    """A file that is not this version's weights; the message says what to do."""


def save_arrays(arrays: Mapping[str, npt.NDArray[Any]], path: Path) -> str:
    """The same arrays always give the same bytes. Returns their SHA-256."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), buffer.getvalue(), zipfile.ZIP_DEFLATED)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_arrays(path: Path, inputs: tuple[str, Sequence[str]], target: str, build: Callable[[Arrays, str], W]) -> W:
    """What `build` makes of the arrays and the file's SHA-256. `inputs` is the name of the array that lists what the
    weights were trained on, and what they must have been trained on; `target` of the Makefile makes the file.

    Raises WeightsError for weights of other inputs, or for no weights at all, and OSError without the file.
    """
    name, expected = inputs
    raw = path.read_bytes()
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as file:
            arrays = {each: file[each] for each in file.files}
        if arrays[name].tolist() != list(expected):
            raise WeightsError(f"{path} was trained with other {name}; run `make {target}`")
        return build(arrays, hashlib.sha256(raw).hexdigest())
    except (EOFError, KeyError, zipfile.BadZipFile, ValueError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path} holds no such weights ({error}); run `make {target}`") from error
