"""The router's trained weights as a file: numpy arrays in a zip, half precision, read once.

`router_weights.npz` was made by `make train-router` (`offline/train_router.py` is the recipe, `offline/routing_sets.py`
names the data): 2026-11-23, 9,586 prompts of MMLU, GSM8K and AlpacaEval with the outcomes of Mixtral 8x7B and GPT-4 of
November 2023. It holds statistics of hashed n-grams and of signals, and no text. MMLU and GSM8K outcomes are
Apache-2.0; AlpacaEval's are CC-BY-NC-4.0, five in a hundred of the prompts: train without them for commercial use.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gateway.adapters.weights_file import Arrays, load_arrays, save_arrays
from gateway.core.ngrams import BUCKETS
from gateway.core.router import Floats, Head, Kind, RouterWeights, Scale
from gateway.core.signals import SIGNALS

SHIPPED = Path(__file__).with_name("router_weights.npz")

WAVES = 2_048
_WIDTH = 0.5
"""Of the Gaussian kernel the waves stand for, in squared spreads of a signal: 2,048 waves follow it to about 0.02."""
_SEED = 20_261_123


def directions_of(signals: int) -> Floats:
    """The projections, which need no file: numpy guarantees the stream of RandomState for good (NEP 19)."""
    drawn = np.random.RandomState(_SEED).standard_normal((signals, WAVES))
    return np.asarray(drawn / np.sqrt(_WIDTH * signals), np.float32)


def phases_of() -> Floats:
    return np.asarray(np.random.RandomState(_SEED + 1).uniform(0, 2 * np.pi, WAVES), np.float32)


def save(weights: RouterWeights, path: Path) -> str:
    """The same weights always give the same bytes. Returns their SHA-256."""
    scale, light = weights.scale, weights.light
    arrays = {
        "signals": np.array(SIGNALS),
        "centre": scale.centre,
        "spread": scale.spread,
        "char_rarity": scale.char_rarity.astype(np.float16),
        "word_rarity": scale.word_rarity.astype(np.float16),
        "intercept": np.array(light.intercept),
        "waves": light.waves.astype(np.float16),
        "chars": light.chars.astype(np.float16),
        "words": light.words.astype(np.float16),
        "kinds": np.array([kind.name for kind in weights.kinds]),
        "kind_centres": np.array([kind.centre for kind in weights.kinds]),
        "kind_spreads": np.array([kind.spread for kind in weights.kinds]),
        "kind_reaches": np.array([kind.reach for kind in weights.kinds]),
        "level": np.array(weights.level),
        "curve": np.array(weights.curve),
        "promises": np.array(weights.promises),
    }
    return save_arrays(arrays, path)


def load(path: Path = SHIPPED) -> RouterWeights:
    """Raises WeightsError for weights of other signals than this version's, and OSError without the file."""
    return load_arrays(path, ("signals", SIGNALS), "train-router", _weights)


def _weights(arrays: Arrays, digest: str) -> RouterWeights:
    if len(arrays["chars"]) != BUCKETS:
        raise ValueError(f"{len(arrays['chars'])} buckets of letters, not {BUCKETS}")

    def single(name: str) -> Floats:
        return arrays[name].astype(np.float32)

    scale = Scale(
        single("centre"), single("spread"), directions_of(len(SIGNALS)), phases_of(), single("char_rarity"),
        single("word_rarity"),
    )  # fmt: skip
    light = Head(float(arrays["intercept"]), single("waves"), single("chars"), single("words"))
    scores, probabilities = single("curve")
    targets, gains = single("promises")
    names, reaches = arrays["kinds"].tolist(), arrays["kind_reaches"].tolist()
    kinds = tuple(map(Kind, names, single("kind_centres"), single("kind_spreads"), reaches))
    return RouterWeights(scale, light, kinds, float(arrays["level"]), (scores, probabilities), (targets, gains), digest)
