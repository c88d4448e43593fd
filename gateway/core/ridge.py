"""Least squares with a penalty, for many inputs and few examples: how the router's weights are learned.

The problem is solved in its dual form, `(X Xᵀ + λ) a = y`, by conjugate gradients: only the n × n products of the rows
are needed, some thirty multiplications with them suffice, and folds are solved side by side: a fold is only a mask.
No library does this without scipy, and thirty lines do. `isotonic` is the pool-adjacent-violators algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Column = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int_]

_STEPS = 40
_CLOSE = 1e-3
"""Stop when the residual has fallen to this share: far below the noise of the labels."""


def products(rows: Matrix) -> Matrix:
    """`X Xᵀ`; n rows take 4 n² bytes."""
    return rows @ rows.T


def dual(kernel: Matrix, targets: Matrix, masks: Matrix, penalties: Matrix) -> Matrix:
    """One solution a column of `masks` (1: the row is learned from), for the column of `targets` and the penalty beside
    it. Columns cost little: the time goes into reading the kernel."""
    residual = masks * targets
    solution = np.zeros_like(residual)
    direction, squares = residual.copy(), (residual**2).sum(0)
    enough = _CLOSE**2 * np.maximum(squares, 1e-12)
    for _ in range(_STEPS):
        image = masks * (kernel @ direction) + penalties * direction
        step = squares / np.maximum((direction * image).sum(0), 1e-12)
        solution += step * direction
        residual -= step * image
        previous, squares = squares, (residual**2).sum(0)
        if (squares < enough).all():
            break
        direction = residual + squares / np.maximum(previous, 1e-12) * direction
    return solution


def fit(kernel: Matrix, targets: Column, penalty: float) -> tuple[Column, float]:
    """The dual solution and the intercept, from all rows. Weights are `rowsᵀ @ solution`."""
    centre = float(targets.mean())
    column = (targets - centre).astype(np.float32)[:, None]
    solution = dual(kernel, column, np.ones_like(column), np.array([penalty], np.float32))
    return solution[:, 0].astype(np.float64), centre


def out_of_fold(kernel: Matrix, targets: Column, folds: Indices, penalties: Sequence[float]) -> tuple[float, Column]:
    """What each row is given by the rows of the other folds, under the penalty with the least squared error; and that
    penalty. It is chosen inside what is learned from, never outside."""
    names = np.unique(folds)
    masks = (folds[:, None] != names[None, :]).astype(np.float32)
    centres = (masks * targets[:, None]).sum(0) / masks.sum(0)
    left = (targets[:, None] - centres).astype(np.float32)
    times = len(penalties)
    solution = dual(
        kernel, np.tile(left, times), np.tile(masks, times), np.repeat(np.array(penalties, np.float32), len(names))
    )
    given = kernel @ solution + np.tile(centres, times)
    own = np.searchsorted(names, folds)
    found = [given[np.arange(len(targets)), len(names) * at + own].astype(np.float64) for at in range(times)]
    errors = [float(((each - targets) ** 2).mean()) for each in found]
    best = int(np.argmin(errors))
    return penalties[best], found[best]


def isotonic(scores: Column, values: Column) -> tuple[Column, Column]:
    """The non-decreasing steps nearest to `values` in the order of `scores`: each step's mean score, and its value."""
    order = np.argsort(scores, kind="stable")
    steps: list[tuple[float, float, float]] = []  # weight, score, value
    for score, value in zip(scores[order].tolist(), values[order].tolist(), strict=True):
        step = (1.0, score, value)
        while steps and steps[-1][2] >= step[2]:
            step = _pooled(steps.pop(), step)
        steps.append(step)
    return np.array([score for _, score, _ in steps]), np.array([value for _, _, value in steps])


def _pooled(one: tuple[float, float, float], two: tuple[float, float, float]) -> tuple[float, float, float]:
    weight = one[0] + two[0]
    return weight, (one[0] * one[1] + two[0] * two[1]) / weight, (one[0] * one[2] + two[0] * two[2]) / weight
