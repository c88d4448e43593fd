from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.ridge import fit, isotonic, out_of_fold, products


def examples(rows: int = 60, inputs: int = 5) -> tuple[np.ndarray, np.ndarray]:
    drawn = np.random.RandomState(1)
    matrix = drawn.standard_normal((rows, inputs)).astype(np.float32)
    return matrix, matrix @ np.arange(1.0, inputs + 1) + 0.1 * drawn.standard_normal(rows)


def test_the_dual_solution_is_the_closed_form() -> None:
    rows, targets = examples()
    solution, centre = fit(products(rows), targets, 2.0)
    centred = targets - targets.mean()
    expected = np.linalg.solve(rows.T @ rows + 2 * np.eye(5), rows.T @ centred)
    np.testing.assert_allclose(rows.T @ solution, expected, rtol=1e-3)
    assert centre == targets.mean()


def test_no_row_is_scored_by_itself() -> None:
    rows, targets = examples()
    folds = np.arange(len(targets)) % 5
    _, honest = out_of_fold(products(rows), targets, folds, (2.0,))
    changed = targets.copy()
    changed[folds == 3] += 1_000
    _, again = out_of_fold(products(rows), changed, folds, (2.0,))
    np.testing.assert_allclose(honest[folds == 3], again[folds == 3])


def test_noise_asks_for_a_greater_penalty_than_a_clean_signal() -> None:
    rows, targets = examples()
    folds = np.arange(len(targets)) % 5
    noise = np.random.RandomState(2).standard_normal(len(targets))
    penalties = (0.1, 10.0, 1_000.0)
    clean, noisy = (out_of_fold(products(rows), each, folds, penalties)[0] for each in (targets, noise))
    assert clean < noisy


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0, 1)), min_size=1, max_size=40))
def test_isotonic_steps_never_fall_and_keep_the_mean(pairs: list[tuple[float, float]]) -> None:
    scores, values = np.array(pairs).T
    at, steps = isotonic(scores, values)
    assert (np.diff(steps) > 0).all()
    assert (np.diff(at) >= 0).all()
    assert values.min() - 1e-9 <= steps.min()
    assert steps.max() <= values.max() + 1e-9
