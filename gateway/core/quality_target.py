"""From a promised quality to a threshold: the fewest strong answers that keep the promise on outcomes already seen."""

from __future__ import annotations

import numpy as np

from gateway.core.ridge import Column


def threshold_for(target: float, scores: Column, light: Column, strong: Column) -> float:
    """Prompts whose score is above it go to the strong model. `target` is a share of the strong model's own quality
    (0.98); `scores` must come from weights that have not seen these outcomes. -inf when only the strong model itself
    keeps the promise, inf when the light one does alone."""
    order = np.argsort(-scores, kind="stable")
    quality = np.concatenate([[light.sum()], light.sum() + np.cumsum((strong - light)[order])]) / len(scores)
    sent = int(np.argmax(quality >= target * strong.mean() - 1e-12))
    if sent == 0:
        return float("inf")
    return float(np.nextafter(scores[order][sent - 1], -np.inf))


def delivered(threshold: float, scores: Column, light: Column, strong: Column) -> tuple[float, float]:
    """The share of the strong model's quality that a threshold keeps, and the share of prompts it sends there."""
    sent = scores > threshold
    return float(np.where(sent, strong, light).mean() / strong.mean()), float(sent.mean())
