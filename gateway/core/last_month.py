"""Which model a service used most in the last calendar month: what savings may also be compared with, soberly.

The dearest model is what a service *could* have used; this one it did use, for most of its tokens. UTC months.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from gateway.core.tally import date_of, day_of, first_kept_day
from gateway.core.totals import Totals


def most_used(totals: Totals, today: int) -> dict[str, str]:
    """Model by service, for those that used any. Days are counted from 1970; equals are decided by name."""
    first, month = first_kept_day(today), day_of(date_of(today).replace(day=1))
    tokens: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for kind, sums in totals.rows.items():
        if first <= kind.day < month and kind.model is not None:
            tokens[kind.service][kind.model] += sums.input_tokens + sums.output_tokens
    return {service: max(sorted(models), key=models.__getitem__) for service, models in tokens.items()}
