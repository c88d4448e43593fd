"""*Budgets*: how much is left, how fast it goes, and who is refused."""

from __future__ import annotations

from deploy.grafana.panel import Dashboard, Query, Row, bars, lines, stat, table
from deploy.grafana.queries import grown, metric, or_zero, rate

_ACCOUNT = "{{account}}/{{window}}"
_OUT_OF_BUDGET = metric("refusals_total", 'reason="insufficient_quota"')


def _used(unit: str) -> str:
    return f"max by (account, window) (thriftgate_budget_used_{unit})"


def _limit(unit: str) -> str:
    return f"max by (account, window) (thriftgate_budget_limit_{unit})"


NOW = Row(
    "Now",
    (
        stat(
            "Nearest its limit",
            "Used share of the budget that is nearest its limit.",
            "max(thriftgate:budget_used:share)",
            "percentunit",
        ),
        stat(
            "Refused today",
            "Requests that no budget had room for (429 insufficient_quota), since midnight UTC.",
            or_zero(grown(_OUT_OF_BUDGET)),
            "none",
            period="now/d",
        ),
        stat(
            "Overshoot today",
            "Tokens that were settled beyond a limit. None is right: a reservation is an upper bound.",
            or_zero(grown(metric("budget_overshoot_tokens_total"))),
            "none",
            period="now/d",
        ),
        stat(
            "Unguarded today",
            "Dollars that were let go while the state was away (`when_unavailable: open`), to be charged when it is "
            "back.",
            or_zero(grown(metric("budget_unguarded_usd_total"))),
            "currencyUSD",
            period="now/d",
        ),
        stat(
            "Put aside",
            "Dollars that gateways keep to spend without asking the state: leased for a moment to who asks often, and "
            "for while it is away (`when_unavailable: local`).",
            or_zero(f"sum({metric('budget_put_aside_usd')})"),
            "currencyUSD",
        ),
    ),
)

LEFT = Row(
    "What is left",
    (
        bars(
            "Used share",
            "Settled and reserved, of the limit; of a budget in dollars and tokens the one that is nearer.",
            "percentunit",
            Query("thriftgate:budget_used:share", _ACCOUNT),
            top=1,
            warn=0.8,
        ),
        table(
            "Dollars",
            "In the window of now.",
            "currencyUSD",
            Query(_limit("usd"), "limit"),
            Query(_used("usd"), "used"),
            Query(f"{_limit('usd')} - {_used('usd')}", "left"),
            width=8,
        ),
        table(
            "Tokens",
            "Input and output together, in the window of now.",
            "short",
            Query(_limit("tokens"), "limit"),
            Query(_used("tokens"), "used"),
            Query(f"{_limit('tokens')} - {_used('tokens')}", "left"),
            width=8,
        ),
    ),
)

BURN = Row(
    "How fast it goes",
    (
        lines(
            "Used share over time",
            "It falls to 0 where a window begins.",
            "percentunit",
            Query("thriftgate:budget_used:share", _ACCOUNT),
        ),
        lines(
            "Burn rate, last hour",
            "1 would use the budget up exactly at the window's end; the alerts begin at 14.4 (fast) and 6 (slow).",
            "none",
            Query("thriftgate:budget_burn:rate1h", _ACCOUNT),
        ),
        lines(
            "Refused a second",
            "By the budgets only.",
            "reqps",
            Query(rate(_OUT_OF_BUDGET, "service"), "{{service}}"),
            stacked=True,
        ),
    ),
)

BUDGETS = Dashboard(
    "thriftgate-budgets",
    "Thriftgate: budgets",
    "How much is left, how fast it goes, and who is refused.",
    "now-24h",
    (NOW, LEFT, BURN),
)
