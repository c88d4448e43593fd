"""Every metric of Thriftgate by its name: what it counts, and by which labels. `adapters/prometheus.py` feeds them.

Names that begin with `gen_ai` are OpenTelemetry's (semantic conventions for generative AI, `gen_ai.client.*`, as
Prometheus writes them: semantic-conventions-genai, read November 2026, still in development), with its buckets for
tokens; times have our own buckets, which are finer below 40 s.
"""

from __future__ import annotations

from gateway.adapters.metric_families import Family, Labels

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
TOKENS = tuple(float(4**power) for power in range(14))
"""1 to 67,108,864, as OpenTelemetry wants them."""
TOKENS_PER_S = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0)

_ROUTE = ("service", "tier", "provider", "model")
_MODEL = ("provider", "model")
_GEN_AI = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
_BUDGET = ("account", "window")


def _counter(name: str, help_text: str, *labels: str) -> Family:
    return Family(f"thriftgate_{name}", help_text, labels, nano=name.endswith(("_usd", "_seconds")))


def _gauge(name: str, help_text: str, *labels: str) -> Family:
    return Family(f"thriftgate_{name}", help_text, labels, "gauge")


def _worst(name: str, help_text: str, *labels: str) -> Family:
    """A state that is bad where it is high: of several processes, the worst."""
    return Family(f"thriftgate_{name}", help_text, labels, "gauge", merge="max")


def _histogram(name: str, help_text: str, labels: Labels, bounds: tuple[float, ...]) -> Family:
    return Family(name, help_text, labels, "histogram", bounds=bounds)


REQUESTS = _counter("requests", "Requests finished.", *_ROUTE, "endpoint", "outcome", "cache")
REFUSALS = _counter("refusals", "Requests refused, by the code of the error.", "service", "reason")
RETRIES = _counter("retries", "Attempts after the first, of the same or another model.", "service")
TOKENS_CHARGED = _counter("tokens", "Tokens charged, by kind.", *_ROUTE, "kind")
CACHE_READ = _counter("prompt_cache_read_tokens", "Input tokens found in the provider's prompt cache.", *_MODEL)
COST = _counter("cost_usd", "What providers charged for requests, in US dollars.", *_ROUTE)
BASELINE = _counter("baseline_usd", "What the baselines would have cost for the same tokens.", "service")
LAST_MONTH = _counter(
    "last_month_baseline_usd", "The same, of the model that the service used most last month.", "service"
)
LAST_MONTH_COST = _counter("last_month_compared_usd", "Cost of the requests that have such a baseline.", "service")
SAVED = _counter("saved_usd", "US dollars below the baseline's price, by cause.", "service", "cause")
OVERHEAD = _counter("overhead_usd", "Paid beside the answers, or above the baseline, by kind.", "service", "kind")
UNPRICED = _counter(
    "unpriced_requests", "Requests that cost nothing, of models that are not declared free.", "provider", "model"
)
SHADOW_COST = _counter("shadow_cost_usd", "What checking hits cost, on top of the requests' cost.", "service")
HITS = _counter("cache_hits", "Answers from a cache.", "service", "layer")
STORES = _counter("cache_stores", "Answers stored in a cache.", "service", "layer")
NOT_BY_MEANING = _counter(
    "semantic_passed", "Questions neither looked up nor stored by their meaning, by why.", "service", "why"
)
CACHE_ENTRIES = _gauge("cache_entries", "Answers kept in this gateway's memory, or points in its index.", "layer")
CACHE_BYTES = _gauge("cache_bytes", "Their size.", "layer")
LIGHT_CHECKED = _counter("light_checked", "Light answers asked of a heavier model too.", "service", "verdict")
FEEDBACK = _counter("feedback", "Answers that were rated by who asked.", "service", "verdict")
CHECKED = _counter("semantic_checked", "Semantic hits asked again.", "service", "verdict")
FALSE_HITS = _gauge("semantic_false_hit_rate", "Share of checked hits found wrong.", "service")
FALSE_HITS_LOW = _gauge("semantic_false_hit_rate_low", "Its 95 % interval's lower end.", "service")
FALSE_HITS_HIGH = _gauge("semantic_false_hit_rate_high", "Its 95 % interval's upper end.", "service")
SEMANTIC_CLOSED = _worst("semantic_closed", "1 once a service goes without the semantic layer.", "service")
DURATION = _histogram("thriftgate_request_duration_seconds", "From the request to its last byte.", _ROUTE, SECONDS)
FIRST_TOKEN = _histogram(
    "thriftgate_time_to_first_token_seconds", "From the request to the first chunk.", _ROUTE, SECONDS
)
SPEED = _histogram(
    "thriftgate_output_tokens_per_second", "Of answers by a model, after their first chunk.", _MODEL, TOKENS_PER_S
)
IN_FLIGHT = _gauge("requests_in_flight", "Requests that are being served.")
QUEUE = _gauge("queue_depth", "Requests that wait for a slot of a provider.", "provider")
REVIEWS = _counter("reviews", "Answers reviewed before they were given.", "service", "result", "check")
FAILURES = _counter("attempt_failures", "Attempts at a model that failed.", "provider", "model", "code")
BREAKERS = _worst("breaker_open", "Hosts where a model keeps failing.", *_MODEL)
DEGRADED = _worst("degraded", "1 while a part is broken.", "component")
OVERSHOOT_TOKENS = _counter("budget_overshoot_tokens", "Tokens settled beyond a budget.", "service")
OVERSHOOT_USD = _counter("budget_overshoot_usd", "US dollars settled beyond a budget.", "service")
UNGUARDED = _counter(
    "budget_unguarded_requests", "Requests to providers that no budget could be asked about.", "service"
)
UNGUARDED_TOKENS = _counter("budget_unguarded_tokens", "Tokens of those requests.", "service")
UNGUARDED_USD = _counter("budget_unguarded_usd", "US dollars of those requests.", "service")
ASIDE_TOKENS = _gauge("budget_put_aside_tokens", "Tokens kept here to spend without asking.", "service")
ASIDE_USD = Family(
    "thriftgate_budget_put_aside_usd", "US dollars kept here to spend without asking.", ("service",), "gauge", True
)
BUDGET_LIMIT_USD = _worst("budget_limit_usd", "US dollars a window.", *_BUDGET)
BUDGET_USED_USD = _worst("budget_used_usd", "US dollars settled and reserved in the window of now.", *_BUDGET)
BUDGET_LIMIT_TOKENS = _worst("budget_limit_tokens", "Tokens a window.", *_BUDGET)
BUDGET_USED_TOKENS = _worst("budget_used_tokens", "Tokens settled and reserved in the window of now.", *_BUDGET)
BUDGET_END = _worst("budget_window_end_timestamp_seconds", "Unix time when the window of now ends.", *_BUDGET)
RELOADS = Family(  # every worker of a gateway hears of each
    "thriftgate_config_reloads", "Reloads of the configuration, by result.", ("result",), merge="max"
)
RELOAD_OK = Family(
    "thriftgate_config_last_reload_success", "0 while the last reload was a refused one.", (), "gauge", merge="min"
)
RELOADED_AT = _worst(
    "config_last_reload_success_timestamp_seconds", "Unix time of the last good reload; 0 before the first."
)
STARTED = Family("thriftgate_started_timestamp_seconds", "Unix time of the gateway's start.", (), "gauge", merge="min")
LOCAL_BUSY = _counter("local_busy_seconds", "While a host of this provider had at least one request.", "provider")
LOCAL_UP = Family(
    "thriftgate_local_up_seconds", "Of all its hosts, since the gateway's start.", ("provider",), "gauge", True, "max"
)
LOCAL_HOUR = _worst("local_hour_usd", "What an hour of one of its hosts is said to cost.", "provider")
LOCAL_IDLE = _gauge("local_idle_usd", "Hours up at that price, less what answers were charged.", "provider")
LOCAL_FREE = _worst("local_free_declared", "1: its price is written as `free`, which savings believe.", *_MODEL)
GEN_AI_TOKENS = _histogram(
    "gen_ai_client_token_usage", "Tokens of answers by a model.", (*_GEN_AI, "gen_ai_token_type"), TOKENS
)
GEN_AI_DURATION = _histogram(
    "gen_ai_client_operation_duration_seconds", "Of requests that reached a model.", (*_GEN_AI, "error_type"), SECONDS
)
GEN_AI_FIRST_CHUNK = _histogram(
    "gen_ai_client_operation_time_to_first_chunk_seconds", "Of answers by a model.", _GEN_AI, SECONDS
)

FAMILIES = tuple(value for value in tuple(globals().values()) if isinstance(value, Family))
