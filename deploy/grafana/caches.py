"""*Caches*: what is found, what it is worth, and how sure one may be that what is found by meaning is right."""

from __future__ import annotations

from deploy.grafana.panel import Dashboard, Panel, Query, Row, lines, stat
from deploy.grafana.queries import metric, or_zero, rate, share_of

_REQUESTS = metric("requests_total", 'outcome="ok"')


def _share(*verdicts: str) -> str:
    """Of the requests that were answered; 0 as long as none was answered so."""
    found = metric("requests_total", 'outcome="ok"', f'cache=~"{"|".join(verdicts)}"')
    return share_of(or_zero(rate(found)), rate(_REQUESTS))


def _prompt_cache_share() -> str:
    read = metric("tokens_total", 'kind="cache_read"')
    whole = metric("tokens_total", 'kind=~"input|cache_read|cache_write"')
    return share_of(f"({rate(read, 'model')} or 0 * {rate(whole, 'model')})", rate(whole, "model"))


def _rate_now(title: str, why: str, *verdicts: str) -> Panel:
    return stat(title, why, _share(*verdicts), "percentunit")


NOW = Row(
    "Now, of the requests that were answered",
    (
        _rate_now(
            "From a cache",
            "Exact and semantic hits, and those that joined another's call.",
            "hit",
            "semantic-hit",
            "joined",
        ),
        _rate_now("Exact", "The whole request was the same: no doubt about the answer.", "hit"),
        _rate_now(
            "By meaning",
            "Another question with the same meaning, as far as the vectors and the verifier see.",
            "semantic-hit",
        ),
        _rate_now("Joined", "The same request was being answered: one upstream call for all of them.", "joined"),
        stat(
            "False hits, at most",
            "Upper end of the 95 % interval of the share of semantic hits that were wrong, of the worst service.",
            f"max({metric('semantic_false_hit_rate_high')})",
            "percentunit",
        ),
        stat(
            "Checked hits",
            "Semantic hits that were asked again (cache.semantic.shadow_share); the interval narrows with them.",
            f"sum({metric('semantic_checked_total')})",
            "none",
        ),
    ),
)

HITS = Row(
    "Hits",
    (
        lines(
            "Found, of the requests that were answered",
            "Stacked: what is left up to 100 % went to a model.",
            "percentunit",
            Query(_share("hit"), "exact"),
            Query(_share("semantic-hit"), "by meaning"),
            Query(_share("joined"), "joined"),
            stacked=True,
            top=1,
        ),
        lines(
            "By what became of it",
            "`bypass`: the request or its service wants none, or it was refused before. `refresh`: asked anew, and "
            "stored.",
            "reqps",
            Query(rate(metric("requests_total"), "cache"), "{{cache}}"),
            stacked=True,
        ),
        lines(
            "Stored",
            "Answers that went into a layer.",
            "reqps",
            Query(rate(metric("cache_stores_total"), "layer"), "{{layer}}"),
        ),
        lines(
            "Left alone by the semantic layer",
            "Questions neither looked up nor stored by their meaning. `unpaid`: a hit would be worth less than the "
            "wait.",
            "reqps",
            Query(rate(metric("semantic_passed_total"), "why"), "{{why}}"),
            stacked=True,
        ),
    ),
)

FALSE_HITS = Row(
    "Wrong answers by meaning, as far as the checks know",
    (
        lines(
            "False-hit rate",
            "Share of the checked semantic hits whose second answer was another one, since the start, with its 95 % "
            "interval (Wilson). With few checks the interval is wide: only its lower end closes a service.",
            "percentunit",
            Query(f"max by (service) ({metric('semantic_false_hit_rate_high')})", "{{service}} at most"),
            Query(f"max by (service) ({metric('semantic_false_hit_rate')})", "{{service}}"),
            Query(f"min by (service) ({metric('semantic_false_hit_rate_low')})", "{{service}} at least"),
        ),
        lines(
            "Checks by verdict",
            "`unknown`: there was no second answer.",
            "reqps",
            Query(rate(metric("semantic_checked_total"), "verdict"), "{{verdict}}"),
            stacked=True,
        ),
        lines(
            "Services without the semantic layer",
            "1 once it had too many wrong hits, until a restart. Empty when none had.",
            "none",
            Query(f"max by (service) ({metric('semantic_closed')})", "{{service}}"),
        ),
    ),
)

SIZE = Row(
    "Size",
    (
        lines(
            "Answers kept",
            "In the gateway's memory (exact) and as points of its index (semantic), not what Redis or Qdrant keep.",
            "short",
            Query("sum by (layer) (thriftgate_cache_entries)", "{{layer}}"),
        ),
        lines(
            "Their size",
            "As far as it is known.",
            "bytes",
            Query("sum by (layer) (thriftgate_cache_bytes)", "{{layer}}"),
        ),
    ),
)

PROMPT_CACHES = Row(
    "Providers' prompt caches",
    (
        lines(
            "Input read from the provider's cache",
            "Of the input tokens that were paid for, by model. They cost a tenth or so of the others.",
            "percentunit",
            Query(_prompt_cache_share(), "{{model}}"),
            top=1,
        ),
        lines(
            "Input tokens by kind",
            "What was charged.",
            "tokens/s",
            Query(rate(metric("tokens_total", 'kind!="output"'), "kind"), "{{kind}}"),
            stacked=True,
        ),
    ),
)

CACHES = Dashboard(
    "thriftgate-caches",
    "Thriftgate: caches",
    "What is answered without a model, and how sure that is.",
    "now-24h",
    (NOW, HITS, FALSE_HITS, PROMPT_CACHES, SIZE),
)
