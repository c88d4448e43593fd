"""*Cost and savings*: what is paid, for whom and for what, what it would have been, and why it is less."""

from __future__ import annotations

from typing import get_args

from deploy.grafana.panel import Dashboard, Panel, Query, Row, bars, lines, stat, table, waterfall
from deploy.grafana.queries import grown, metric, or_zero, rate, share_of
from gateway.core.savings import Cause

TODAY, THIS_MONTH = "now/d", "now/M"
_COST = metric("cost_usd_total")
_SAVED = metric("saved_usd_total")
_LAST_MONTH = metric("last_month_baseline_usd_total")
_LAST_MONTH_COST = metric("last_month_compared_usd_total")
_BASELINE = metric("baseline_usd_total")
_OVERHEAD = metric("overhead_usd_total")
_CHECKS = metric("overhead_usd_total", 'kind=~"shadow|judge"')
_BESIDE_ANSWERS = metric("overhead_usd_total", 'kind!~"shadow|judge"')
_NET = f"({grown(_SAVED)} - {or_zero(grown(_OVERHEAD))})"
_FROM_METRICS = (
    "Read from the metrics, which Prometheus sees every few seconds: right to a fraction of a percent. The ledger has "
    "it to the nano-dollar (`thriftgate ledger verify`)."
)


def _an_hour(series: str, by: str) -> str:
    return f"3600 * {rate(series, by)}"


def _cost_by(label: str, why: str) -> Panel:
    return lines(f"By {label}", why, "$/h", Query(_an_hour(_COST, label), f"{{{{{label}}}}}"), stacked=True)


NOW = Row(
    "What it costs",
    (
        stat(
            "Today",
            f"What providers charged since midnight UTC. {_FROM_METRICS}",
            grown(_COST),
            "currencyUSD",
            period=TODAY,
            width=3,
        ),
        stat(
            "This month",
            f"The same, since the first of the month. {_FROM_METRICS}",
            grown(_COST),
            "currencyUSD",
            period=THIS_MONTH,
            width=3,
        ),
        stat(
            "This month, at this pace",
            "What the month will cost if its remaining hours cost what the last 24 did on average.",
            f"{grown(_COST)} + sum(rate({_COST}[1d])) * scalar(thriftgate:month_left_seconds)",
            "currencyUSD",
            period=THIS_MONTH,
            width=3,
        ),
        stat(
            "Saved this month",
            "What each service's baseline model would have cost for the same tokens, less what was paid, checks of "
            "cached answers included. Another model would have written other answers: the same tokens are an "
            "assumption.",
            _NET,
            "currencyUSD",
            period=THIS_MONTH,
            width=3,
        ),
        stat(
            "Saved, of the baseline",
            "The same as a share of it.",
            share_of(_NET, grown(_BASELINE)),
            "percentunit",
            period=THIS_MONTH,
            width=3,
        ),
        stat(
            "Saved, against last month's model",
            "The sober comparison: what the model that each service used most last month would have cost, less what "
            "was paid for the same requests. 0 until there is a last month.",
            f"{or_zero(grown(_LAST_MONTH))} - {or_zero(grown(_LAST_MONTH_COST))}",
            "currencyUSD",
            period=THIS_MONTH,
            width=3,
        ),
        stat(
            "Beside the answers",
            "Paid this month for checks of cached answers, attempts that failed, answers that were thrown away, and "
            "models dearer than the baseline. It is taken off what was saved.",
            or_zero(grown(_OVERHEAD)),
            "currencyUSD",
            period=THIS_MONTH,
            width=3,
        ),
        stat(
            "Requests without a price",
            "They cost nothing, though their model is not declared free: what they cost is in none of these sums. None "
            "is right.",
            or_zero(grown(metric("unpriced_requests_total", chosen=False))),
            "none",
            period=THIS_MONTH,
            width=3,
        ),
    ),
)

FORECAST = Row(
    "Against the budgets",
    (
        bars(
            "Forecast of this window, of the budget",
            "What the window will have used at its end if it goes on at the pace it had so far: 100 % is the limit.",
            "percentunit",
            Query("thriftgate:budget_forecast:share", "{{account}}/{{window}}"),
            top=1,
            warn=0.8,
            width=12,
        ),
        table(
            "In dollars",
            "A group's budget holds what its services spend, so these do not add up.",
            "currencyUSD",
            Query("max by (account, window) (thriftgate_budget_limit_usd)", "limit"),
            Query("max by (account, window) (thriftgate_budget_used_usd)", "used"),
            Query("thriftgate:budget_forecast:usd", "forecast"),
        ),
    ),
)

SPENDING = Row(
    "Where it goes, in dollars an hour",
    (
        _cost_by("service", "Who asked."),
        _cost_by("tier", "How much model the prompt needed, as far as the router saw."),
        _cost_by("model", "Who answered."),
        table(
            "Models in the range that is shown",
            "Charged tokens only: answers from a cache are not among them.",
            "currencyUSD",
            Query(grown(_COST, "model"), "cost"),
            Query(grown(metric("tokens_total", 'kind!="output"'), "model"), "input tokens"),
            Query(grown(metric("tokens_total", 'kind="output"'), "model"), "output tokens"),
            Query(f"1e6 * {share_of(grown(_COST, 'model'), grown(metric('tokens_total'), 'model'))}", "$ a million"),
            units={"input tokens": "short", "output tokens": "short"},
            width=24,
        ),
    ),
)


def _waterfall() -> Panel:
    """From what the baselines would have cost down to what the answers did cost, and up again by what checks cost."""
    asked, beside, checks = (or_zero(grown(series)) for series in (_BASELINE, _BESIDE_ANSWERS, _CHECKS))
    floors, heights = {"the baseline": "vector(0)"}, {"the baseline": asked}
    causes = get_args(Cause)
    for number, cause in enumerate(causes, 1):
        so_far = metric("saved_usd_total", f'cause=~"{"|".join(causes[:number])}"')
        floors[f"saved: {cause}"] = f"{asked} - {or_zero(grown(so_far))}"
        heights[f"saved: {cause}"] = or_zero(grown(metric("saved_usd_total", f'cause="{cause}"')))
    saved = f"{asked} - {or_zero(grown(_SAVED))}"
    answers = f"{saved} + {beside}"
    floors |= {"paid beside answers": saved, "paid for checks": answers, "paid": "vector(0)"}
    heights |= {"paid beside answers": beside, "paid for checks": checks, "paid": f"{answers} + {checks}"}
    return waterfall(
        "From the baseline to what is paid",
        "Left what each service's baseline model would have cost for the same tokens; each bar takes off what one "
        "cause saved; then what was paid beside the answers (failed attempts, answers that were thrown away, a model "
        "dearer than the baseline) and for checks of cached answers. Requests that have no baseline are not in it.",
        "currencyUSD",
        _steps(floors),
        _steps(heights),
        "step",
    )


def _steps(values: dict[str, str]) -> str:
    """One query with a row for each step; its number keeps it in its place."""
    return "\nor ".join(
        f'label_replace({expr}, "step", "{number:02} {name}", "", "")'
        for number, (name, expr) in enumerate(values.items())
    )


SAVINGS = Row(
    "What it did not cost",
    (
        _waterfall(),
        lines(
            "Saved, by cause",
            "Dollars an hour below the baseline.",
            "$/h",
            Query(_an_hour(_SAVED, "cause"), "{{cause}}"),
            stacked=True,
        ),
        lines(
            "Paid beside the answers",
            "`shadow`, `judge`: checks. `failed_attempt`, `escalation`: answers that nobody saw. `dearer_model`: "
            "above the baseline.",
            "$/h",
            Query(_an_hour(_OVERHEAD, "kind"), "{{kind}}"),
            stacked=True,
        ),
        lines(
            "Paid, and the baseline",
            "What the answers cost, beside what the baseline would have.",
            "$/h",
            Query(_an_hour(_BASELINE, ""), "baseline"),
            Query(_an_hour(_COST, ""), "paid"),
        ),
    ),
)

OWN_HARDWARE = Row(
    "Own hardware",
    (
        lines(
            "Busy",
            "Share of the time in which a host of the provider had at least one request.",
            "percentunit",
            Query("sum by (provider) (rate(thriftgate_local_busy_seconds_total[$__rate_interval]))", "{{provider}}"),
        ),
        lines(
            "Hours that nobody was charged for",
            "Hours up at the price of an hour, less what answers were charged, since the gateway's start. What stands "
            "idle is paid all the same.",
            "currencyUSD",
            Query("sum by (provider) (thriftgate_local_idle_usd)", "{{provider}}"),
        ),
        table(
            "Declared free",
            "Models whose price is written as `free`. The savings believe it; a GPU's hour would be `gpu_hour_usd`.",
            "none",
            Query("max by (provider, model) (thriftgate_local_free_declared)", "declared"),
            width=8,
        ),
    ),
)

COST_AND_SAVINGS = Dashboard(
    "thriftgate-cost",
    "Thriftgate: cost and savings",
    "What is paid, for whom and for what; what it would have been, and why it is less.",
    "now-24h",
    (NOW, FORECAST, SPENDING, SAVINGS, OWN_HARDWARE),
)
