"""*Traffic and latency*: who asks, how fast it is answered, and what goes wrong."""

from __future__ import annotations

from deploy.grafana.panel import Dashboard, Panel, Query, Row, lines, stat
from deploy.grafana.queries import metric, or_zero, quantile, rate, share_of

_REQUESTS = metric("requests_total")
_FAILED = metric("requests_total", 'outcome=~"upstream_error|internal_error"')
_FIRST = "time_to_first_token_seconds"
_WHOLE = "request_duration_seconds"


def _shares_of_requests(title: str, why: str, label: str, width: int = 8) -> Panel:
    return lines(title, why, "reqps", Query(rate(_REQUESTS, label), f"{{{{{label}}}}}"), stacked=True, width=width)


def _percentiles(title: str, why: str, histogram: str) -> Panel:
    shares = (0.5, 0.95, 0.99)
    return lines(title, why, "s", *(Query(quantile(share, histogram), f"p{share * 100:g}") for share in shares))


NOW = Row(
    "Now",
    (
        stat(
            "Requests a second",
            "Of all that were recognised as a service's, answers from a cache included.",
            rate(_REQUESTS),
            "reqps",
        ),
        stat(
            "Failed",
            "Share of the requests that ended in an error of a provider (502 to 504) or of the gateway (500). What a "
            "budget or a limit refuses is not among them.",
            share_of(or_zero(rate(_FAILED)), rate(_REQUESTS)),
            "percentunit",
        ),
        stat("First token, p95", "From the request to the first chunk, streamed or not.", quantile(0.95, _FIRST), "s"),
        stat("Whole answer, p95", "From the request to its last byte.", quantile(0.95, _WHOLE), "s"),
        stat(
            "Open breakers",
            "Hosts where a model is not asked, because it kept failing there; all services.",
            or_zero("sum(thriftgate_breaker_open)"),
            "none",
        ),
        stat(
            "Degraded parts",
            "Parts that are broken and worked around: state, caches, ledger, keys. Which, is below.",
            or_zero("sum(thriftgate_degraded)"),
            "none",
        ),
    ),
)

TRAFFIC = Row(
    "Traffic",
    (
        _shares_of_requests(
            "By outcome",
            "`refused`: by a budget or a limit. `client_error`: it could not be served as it was. `client_disconnect`: "
            "the client left before the end.",
            "outcome",
            width=6,
        ),
        _shares_of_requests("By service", "`other`: a name that is not in the configuration.", "service", width=6),
        _shares_of_requests(
            "By API", "OpenAI's chat, responses, completions, embeddings; Anthropic's messages.", "endpoint", width=6
        ),
        lines(
            "Refused, by reason",
            "The code of the error that the client read.",
            "reqps",
            Query(rate(metric("refusals_total"), "reason"), "{{reason}}"),
            stacked=True,
            width=6,
        ),
    ),
)

ROUTING = Row(
    "Routing",
    (
        _shares_of_requests(
            "By tier", "The tier that was planned; `none`: refused before there was one.", "tier", width=6
        ),
        _shares_of_requests("By model", "Who answered, or whose answer the cache had.", "model", width=6),
        lines(
            "Reviewed answers",
            "What became of light and medium answers that were looked at before they were given, and by which check "
            "(`review.mode`).",
            "reqps",
            Query(rate(metric("reviews_total"), "result, check"), "{{result}} {{check}}"),
            stacked=True,
            width=6,
        ),
        lines(
            "Rated answers",
            "By who asked (`POST /v1/thriftgate/feedback`).",
            "reqps",
            Query(rate(metric("feedback_total"), "verdict"), "{{verdict}}"),
            stacked=True,
            width=6,
        ),
    ),
)

LATENCY = Row(
    "Latency",
    (
        _percentiles("First token", "From the request to the first chunk; answers from a cache pull it down.", _FIRST),
        lines(
            "First token by model, p95",
            "As above, of each model.",
            "s",
            Query(quantile(0.95, _FIRST, by="model"), "{{model}}"),
        ),
        _percentiles("Whole answer", "From the request to its last byte: what the client waited in all.", _WHOLE),
        lines(
            "Speed of one answer by model, median",
            "Its output tokens a second after the first chunk; all services.",
            "tokens/s",
            Query(
                "histogram_quantile(0.5, sum by (le, provider, model) "
                "(rate(thriftgate_output_tokens_per_second_bucket[$__rate_interval])))",
                "{{provider}}/{{model}}",
            ),
        ),
        lines(
            "Output by model",
            "Output tokens of all answers together, a second.",
            "tokens/s",
            Query(rate(metric("tokens_total", 'kind="output"'), "model"), "{{model}}"),
            stacked=True,
        ),
        lines(
            "Waiting and being served",
            "Requests that the gateway has, and those of them that wait for a slot of a provider (max_concurrency).",
            "none",
            Query("sum(thriftgate_requests_in_flight)", "in flight"),
            Query("sum by (provider) (thriftgate_queue_depth)", "waiting for {{provider}}"),
        ),
    ),
)

TROUBLE = Row(
    "Trouble",
    (
        lines(
            "Failed attempts",
            "Attempts at a model that failed; the request may have been answered by the next one.",
            "reqps",
            Query(
                "sum by (model, code) (rate(thriftgate_attempt_failures_total[$__rate_interval]))", "{{model}} {{code}}"
            ),
            stacked=True,
        ),
        lines(
            "Retries",
            "Attempts after a request's first, of the same or another model.",
            "reqps",
            Query(rate(metric("retries_total"), "service"), "{{service}}"),
            stacked=True,
        ),
        lines(
            "Open breakers",
            "At how many hosts a model is not asked.",
            "none",
            Query("sum by (provider, model) (thriftgate_breaker_open)", "{{provider}}/{{model}}"),
        ),
        lines(
            "Degraded parts",
            "1 while a part is broken; requests go on without it. Empty when nothing has broken since the start.",
            "none",
            Query("max by (component) (thriftgate_degraded)", "{{component}}"),
        ),
    ),
)

TRAFFIC_AND_LATENCY = Dashboard(
    "thriftgate-traffic",
    "Thriftgate: traffic and latency",
    "Who asks, how fast it is answered, and what goes wrong.",
    "now-6h",
    (NOW, TRAFFIC, ROUTING, LATENCY, TROUBLE),
)
