"""How long one attempt at one model may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. `connect_s` and `first_token_s` count from the start of an attempt, `total_s` too."""

    connect_s: float = 2.0
    first_token_s: float = 30.0
    between_tokens_s: float = 15.0
    total_s: float = 600.0
