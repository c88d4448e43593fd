"""The PromQL that several panels share, each piece with a name."""

from __future__ import annotations

CHOSEN = 'service=~"$service"'


def metric(name: str, *matchers: str, chosen: bool = True) -> str:
    """`thriftgate_NAME{…}`, of the services that are chosen unless it knows none."""
    inside = ", ".join([CHOSEN, *matchers] if chosen else matchers)
    return f"thriftgate_{name}{{{inside}}}" if inside else f"thriftgate_{name}"


def grown(series: str, by: str = "") -> str:
    """By how much a counter has grown in the range that is shown, its first value included.

    `increase` alone knows nothing of what was there at the first scrape: of a gateway's very first request it makes 0,
    and of ten models that were asked once each. So that value is added, where it can only have come within the range:
    the series was not there before, and neither was the process.
    """
    new = f"min_over_time({series}[$__range]) unless {series} offset $__range"
    young = "on (instance) (thriftgate_started_timestamp_seconds > time() - $__range_s)"
    return f"{total(by)} (({new} and {young}) + increase({series}[$__range]) or increase({series}[$__range]))"


def rate(series: str, by: str = "") -> str:
    """A second, as fine as the panel can show."""
    return f"{total(by)} (rate({series}[$__rate_interval]))"


def total(by: str) -> str:
    return f"sum by ({by})" if by else "sum"


def quantile(share: float, histogram: str, *matchers: str, by: str = "") -> str:
    """Of a histogram's observations, interpolated within its buckets."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {rate(metric(f'{histogram}_bucket', *matchers), labels)})"


def share_of(part: str, whole: str) -> str:
    """0 to 1; nothing where there is nothing to share, instead of a division by zero."""
    return f"{part} / ({whole} > 0)"


def or_zero(expr: str) -> str:
    """0 as long as nothing of the kind has happened."""
    return f"({expr} or vector(0))"
