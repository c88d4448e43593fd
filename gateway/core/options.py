"""What a caller may say about *how* a request is served: headers `x-thriftgate-*` and the body field `thriftgate`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from gateway.core.errors import InvalidRequest
from gateway.core.tiers import Tier

CacheMode = Literal["on", "off", "refresh", "read-only"]
PREFIX = "x-thriftgate-"
_LONGEST_S = 86_400.0
_DIGITS = re.compile(r"[0-9]{1,8}")


@dataclass(frozen=True, slots=True)
class Options:
    """`tier` overrides the classifier for `auto`; `threshold` may raise the semantic threshold, never lower it;
    `ttl_s` and `namespace` shape what is stored, `tools` lets answers with tool calls be stored and had; `fallback`
    false means the first model or an error; `strict` refuses where hints would have to be dropped; `timeout_s` is how
    long the whole answer may take, from the request's arrival."""

    cache: CacheMode = "on"
    ttl_s: int | None = None
    namespace: str = ""
    threshold: float | None = None
    tier: Tier | None = None
    tools: bool = False
    fallback: bool = True
    strict: bool = False
    timeout_s: float | None = None
    reads_cache: bool = field(init=False, repr=False, compare=False)
    writes_cache: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reads_cache", self.cache in ("on", "read-only"))
        object.__setattr__(self, "writes_cache", self.cache in ("on", "refresh"))


DEFAULT = Options()


def parse_options(headers: Mapping[str, str], body: object) -> Options:
    """A header wins over the body field. Raises InvalidRequest naming the header or field and what is allowed.

    `Cache-Control: no-cache` is `refresh` and `no-store` is `off`, as HTTP has it.
    """
    told = body["thriftgate"] if isinstance(body, dict) and "thriftgate" in body else None
    names = " ".join(headers)  # one search over all names: nearly every request says nothing
    if told is None and PREFIX not in names and "cache-control" not in names:
        return DEFAULT
    if told is not None and not isinstance(told, dict):
        raise InvalidRequest("`thriftgate` must be an object.", param="thriftgate")
    said = _Said(headers, told or {})
    options = Options(
        cache=_cache_mode(said, headers),
        ttl_s=_whole_number(*said.of("cache-ttl", "cache", "ttl")),
        namespace=_text(*said.of("cache-namespace", "cache", "namespace")),
        threshold=_threshold(*said.of("cache-threshold", "cache", "threshold")),
        tools=_flag(*said.of("cache-tools", "cache", "tools")),
        tier=_tier(*said.of("tier", "tier")),
        fallback=not _flag(*said.of("no-fallback", "no_fallback")),
        strict=_flag(*said.of("strict", "strict")),
        timeout_s=_seconds(*said.of("timeout", "timeout_s")),
    )
    return DEFAULT if options == DEFAULT else options


class _Said:
    """Looks a setting up in the headers, then in the body field; returns the value and the name it was found under."""

    def __init__(self, headers: Mapping[str, str], field: Mapping[str, Any]) -> None:
        self._headers = headers
        self._field = field

    def of(self, header: str, *path: str) -> tuple[object, str]:
        name = PREFIX + header
        if name in self._headers:
            return self._headers[name], name
        value: object = self._field
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value, ".".join(("thriftgate", *path))


def _cache_mode(said: _Said, headers: Mapping[str, str]) -> CacheMode:
    value, name = said.of("cache", "cache")
    if isinstance(value, dict):
        value, name = said.of("cache", "cache", "mode")
    if value is None:
        return _cache_control(headers.get("cache-control", ""))
    for mode in get_args(CacheMode):
        if value == mode:
            return mode  # type: ignore[no-any-return]  # get_args returns Any; the values are the Literal's own
    raise InvalidRequest(f"`{name}` must be one of {', '.join(get_args(CacheMode))}.", param=name)


def _cache_control(value: str) -> CacheMode:
    directives = {directive.strip().lower() for directive in value.split(",")}
    if "no-store" in directives:
        return "off"
    return "refresh" if "no-cache" in directives else "on"


def _whole_number(value: object, name: str) -> int | None:
    if value is None:
        return None
    text = str(value)
    if not _DIGITS.fullmatch(text) or not 1 <= int(text) <= 31_536_000:
        raise InvalidRequest(f"`{name}` must be whole seconds from 1 to 31536000.", param=name)
    return int(text)


def _seconds(value: object, name: str) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # anything else is refused by the except
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not 0.0 < number <= _LONGEST_S:
        raise InvalidRequest(f"`{name}` must be seconds, above 0 and at most {_LONGEST_S:g}.", param=name)
    return number


def _text(value: object, name: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > 128:
        raise InvalidRequest(f"`{name}` must be a string of at most 128 characters.", param=name)
    return value


def _threshold(value: object, name: str) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # anything else is refused by the except
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if isinstance(value, bool) or not 0.0 <= number <= 1.0:
        raise InvalidRequest(f"`{name}` must be a number from 0 to 1.", param=name)
    return number


def _tier(value: object, name: str) -> Tier | None:
    if value is None:
        return None
    if isinstance(value, str) and value in tuple(Tier):
        return Tier(value)
    raise InvalidRequest(f"`{name}` must be one of {', '.join(Tier)}.", param=name)


def _flag(value: object, name: str) -> bool:
    if value is None or value is False or value == "false":
        return False
    if value is True or value == "true":
        return True
    raise InvalidRequest(f"`{name}` must be true or false.", param=name)
