"""The tier classifier's trained weights as a file: numpy arrays in a zip, half precision, read once.

`tier_weights.npz` was made by `make train-tiers` (`offline/tier_head.py` is the recipe) on 2026-11-23 from the 1,745
prompts of `tests/eval/tier_labels`, labelled by its guide. The prompts come from AlpacaEval (CC-BY-NC-4.0), Arena-Hard
v2 and T0's templates (Apache-2.0), LLMRouter (MIT), Self-Instruct and RouteLLM's MMLU and GSM8K (Apache-2.0). The
labels are our own, and the file has no text in it: averages of the inputs, and what tiers make of random projections.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from gateway.adapters.weights_file import Arrays, load_arrays, save_arrays
from gateway.core.features import Features
from gateway.core.tier_model import INPUTS, Floats, TierWeights, classify
from gateway.core.tiers import Classified

SHIPPED = Path(__file__).with_name("tier_weights.npz")

WAVES = 1_024
_WIDTH = 1.0
"""Of the Gaussian kernel that the waves stand for, in squared spreads of an input."""
_SEED = 20_261_124
_REMEMBERED = 1_024


def projections() -> tuple[Floats, Floats]:
    """Directions and phases, which need no file: numpy guarantees the stream of RandomState for good (NEP 19)."""
    drawn = np.random.RandomState(_SEED)
    directions = drawn.standard_normal((len(INPUTS), WAVES)) / np.sqrt(_WIDTH * len(INPUTS))
    return directions.astype(np.float32), drawn.uniform(0, 2 * np.pi, WAVES).astype(np.float32)


def save(weights: TierWeights, path: Path) -> str:
    """The same weights always give the same bytes. Returns their SHA-256."""
    arrays = {
        "inputs": np.array(INPUTS),
        "centre": weights.centre.astype(np.float16),
        "spread": weights.spread.astype(np.float16),
        "heads": weights.heads.astype(np.float16),
        "intercepts": weights.intercepts,
        "under_cost": np.array(weights.under_cost),
    }
    return save_arrays(arrays, path)


def load(path: Path = SHIPPED) -> TierWeights:
    """Raises WeightsError for weights of other inputs than this version's, and OSError without the file."""
    return load_arrays(path, ("inputs", INPUTS), "train-tiers", _weights)


def _weights(arrays: Arrays, digest: str) -> TierWeights:
    centre, spread, heads, intercepts = (
        arrays[name].astype(np.float32) for name in ("centre", "spread", "heads", "intercepts")
    )
    return TierWeights(centre, spread, *projections(), heads, intercepts, float(arrays["under_cost"]), digest)


def classifier(weights: TierWeights) -> Callable[[Features], Classified]:
    """By these weights. What was asked lately is not worked out again: a repeated question costs a microsecond."""
    return lru_cache(_REMEMBERED)(partial(classify, weights=weights))
