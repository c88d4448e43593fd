"""config/*.yaml as typed settings. Every error names file, line, key and the mend.

Pydantic stays at this border: the rest of the gateway gets plain values and the domain's own dataclasses. Each setting
is explained, with unit and default, in config/README.md; a test keeps the two together.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, PositiveInt, ValidationError

from gateway.model_settings import PRICE_FORMS, ModelSettings, Name, Section
from gateway.routing_settings import RoutingSettings
from gateway.service_contradictions import service_problems
from gateway.service_settings import GroupSettings, ReviewSettings, ServiceSettings
from gateway.yaml_source import ConfigError, KeyPath, Problem, Source, read


class Server(Section):
    host: str = "127.0.0.1"
    port: int = Field(4000, ge=0, le=65_535)
    max_body_bytes: int = Field(8 * 1024 * 1024, ge=1_024)
    drain_s: float = Field(20.0, ge=0)
    workers: PositiveInt | Literal["auto"] = 1
    admin_key: str | None = Field(None, min_length=1)
    public_metrics: bool = False

    @property
    def worker_count(self) -> int:
        """`auto` is a worker for each core that this process may use."""
        if self.workers != "auto":
            return self.workers
        return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


class State(Section):
    redis_url: str = "embedded"
    timeout_ms: float = Field(50.0, gt=0)
    allotment_share: float = Field(0.05, gt=0, le=1)


class LedgerSettings(Section):
    enabled: bool = True
    keep_days: int = Field(400, ge=1)
    max_file_bytes: int = Field(16 * 1024 * 1024, ge=64 * 1024)


class Vectors(Section):
    qdrant_url: str = "embedded"
    qdrant_api_key: str | None = Field(None, min_length=1)
    max_points: int = Field(20_000, ge=1)


class EmbedderSettings(Section):
    engine: Literal["onnx", "sentence-transformers", "none"] = "onnx"
    model: str = "all-MiniLM-L6-v2"
    allow_download: bool = False


class Host(Section):
    base_url: str | None = None
    api_key: str | None = Field(None, min_length=1)


class Provider(Host):
    """Without `hosts` it is the one host itself."""

    kind: Literal["llamacpp", "deepseek", "anthropic", "openai"]
    hosts: list[Host] = Field(default_factory=list)
    model: str | None = None
    launcher: Literal["xllamacpp", "llama-cpp-python"] = "xllamacpp"
    context_tokens: int = Field(2_048, ge=256)
    parallel: int = Field(4, ge=1)
    threads: int = Field(1, ge=1)
    max_concurrency: int | None = Field(None, ge=1)
    max_wait_s: float | None = Field(None, ge=0)

    @property
    def is_child(self) -> bool:
        """Whether it is a process of this gateway's own."""
        return self.kind == "llamacpp" and self.base_url is None and not self.hosts


class ExactCache(Section):
    enabled: bool = True
    ttl_s: int = Field(3_600, ge=1)
    memory_bytes: int = Field(16 * 1024 * 1024, ge=0)


class SemanticCache(Section):
    enabled: bool = True
    threshold: float = Field(0.95, ge=0.95, le=1.0)
    ttl_s: int = Field(3_600, ge=1)
    deadline_ms: float = Field(30.0, gt=0)
    value_of_second_usd: float = Field(0.0001, ge=0)
    cpu_second_usd: float = Field(0.00001, ge=0)
    explore_share: float = Field(0.02, gt=0, le=1)
    shadow_share: float = Field(0.01, ge=0, le=1)
    judge_model: str | None = None
    false_hit_limit: float = Field(0.1, gt=0, le=1)


class CacheSettings(Section):
    exact: ExactCache = ExactCache()
    semantic: SemanticCache = SemanticCache()


class Learning(Section):
    store_features: bool = False
    shadow_share: float = Field(0.0, ge=0, le=1)
    shadow_usd_per_day: float = Field(1.0, gt=0)
    judge_model: str | None = None


class Timeouts(Section):
    connect_s: float = Field(2.0, gt=0)
    first_token_s: float = Field(30.0, gt=0)
    between_tokens_s: float = Field(15.0, gt=0)
    total_s: float = Field(600.0, gt=0)


class Upstream(Section):
    client: Literal["http1", "httpx"] = "http1"
    attempts_per_model: int = Field(2, ge=1, le=5)
    breaker_failures: int = Field(5, ge=1)
    breaker_open_s: float = Field(10.0, gt=0)
    hedge_after: Literal["p95"] | Annotated[float, Field(gt=0)] | None = None


class Alerts(Section):
    webhook_url: str | None = Field(None, pattern=r"^https?://[^/\s]+")


class Telemetry(Section):
    otlp_endpoint: str | None = Field(None, pattern=r"^https?://[^/\s]+")
    sample_share: float = Field(0.05, ge=0, le=1)


class Log(Section):
    requests: str = Field("off", min_length=1)


class Settings(Section):
    server: Server = Server()
    data_dir: Path = Path(".thriftgate")
    keys_file: Path | None = None
    state: State = State()
    ledger: LedgerSettings = LedgerSettings()
    vectors: Vectors = Vectors()
    embedder: EmbedderSettings = EmbedderSettings()
    providers: dict[Name, Provider] = Field(min_length=1)
    models: dict[str, ModelSettings] = Field(min_length=1)
    cache: CacheSettings = CacheSettings()
    routing: RoutingSettings = RoutingSettings()
    learning: Learning = Learning()
    review: ReviewSettings = ReviewSettings()
    groups: list[GroupSettings] = Field(default_factory=list)
    services: list[ServiceSettings] = Field(default_factory=list)
    timeouts: Timeouts = Timeouts()
    upstream: Upstream = Upstream()
    alerts: Alerts = Alerts()
    log: Log = Log()
    telemetry: Telemetry = Telemetry()

    @property
    def keys_path(self) -> Path:
        """Where minted keys are kept."""
        return self.keys_file or self.data_dir / "keys.json"

    @property
    def ledger_folder(self) -> Path:
        """Where the ledger files are; those of further workers in folders of their own below it."""
        return self.data_dir.absolute() / "ledger"


class Loaded:
    """Settings, and where each of them was written. `again` reads the same files anew; it raises as `load` does."""

    def __init__(self, settings: Settings, source: Source, again: Callable[[], Loaded]) -> None:
        self.settings = settings
        self.source = source
        self.again = again

    def written(self) -> bytes:
        """For another process of this gateway, where `read_back` makes the same of it. Has secrets in it."""
        source = self.source
        return orjson.dumps([source.document, list(source.places.items()), list(source.unset.items())])

    def absence(self, provider: str) -> str | None:
        """Why a provider cannot be used: no host's key's variable is set. None when it can."""
        unset = self._unset_keys(provider)
        return f"{' and '.join(dict.fromkeys(unset))} is not set" if all(unset) else None

    def hosts(self, provider: str) -> list[Host]:
        """Where it can be asked, and with which key; those whose key's variable is set."""
        return [
            host for host, unset in zip(self._hosts(provider), self._unset_keys(provider), strict=True) if not unset
        ]

    def _hosts(self, provider: str) -> list[Host]:
        settings = self.settings.providers[provider]
        return settings.hosts or [settings]

    def _unset_keys(self, provider: str) -> list[str]:
        """Of each host the variable of its key that is not set, "" where nothing is missing."""
        unset, path = self.source.unset, ("providers", provider)
        if not self.settings.providers[provider].hosts:
            return [unset.get((*path, "api_key"), "")]
        return [unset.get((*path, "hosts", at, "api_key"), "") for at in range(len(self._hosts(provider)))]


def load(path: Path, environ: Mapping[str, str] = os.environ, **overrides: Any) -> Loaded:
    """Read, check and freeze. `overrides` (host, port, workers, data_dir) come from the command line and win.

    Raises ConfigError with every problem found.
    """
    source = read(path, environ)
    source = replace(source, document=_overridden(source.document, environ, overrides))
    problems = list(_unset_secrets(source))
    try:
        settings = Settings.model_validate(source.document)
    except ValidationError as error:
        told = (_problem(source, dict(found)) for found in error.errors() if found["loc"] not in source.unset)
        raise ConfigError(*problems, *told) from None
    problems += _contradictions(settings, source)
    if problems:
        raise ConfigError(*problems)
    return Loaded(settings, source, partial(load, path, environ, **overrides))


def read_back(written: bytes, again: Callable[[], Loaded]) -> Loaded:
    """What another process of this gateway has `written`, and has found to be right."""
    document, places, unset = orjson.loads(written)
    source = Source(document, *({tuple(path): said for path, said in pairs} for pairs in (places, unset)))
    return Loaded(Settings.model_validate(document), source, again)


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _overridden(
    document: Mapping[str, Any], environ: Mapping[str, str], overrides: Mapping[str, Any]
) -> dict[str, Any]:
    server = document.get("server") or {}
    if isinstance(server, dict):
        server = server | {key: overrides[key] for key in ("host", "port", "workers") if overrides.get(key) is not None}
    data_dir = overrides.get("data_dir") or environ.get("THRIFTGATE_DATA_DIR") or document.get("data_dir")
    return {**document, "server": server, **({"data_dir": data_dir} if data_dir else {})}


def _unset_secrets(source: Source) -> Iterator[Problem]:
    """Only a provider's host may do without its key: it is then absent."""
    for path, variable in source.unset.items():
        if not (path[0] == "providers" and path[-1] == "api_key" and len(path) in (3, 5)):
            yield Problem(source.where(path), f"`{_dotted(path)}`: {variable} is not set", f"set {variable}, not empty")


def _problem(source: Source, found: Mapping[str, Any]) -> Problem:
    path: KeyPath = tuple(part for part in found["loc"] if part not in PRICE_FORMS)
    kind, message = str(found["type"]), str(found["msg"]).removeprefix("Value error, ")
    mend = "see config/README.md"
    if kind == "union_tag_not_found" or found["loc"][-1] == PRICE_FORMS[0]:
        message = "is no price"
        mend = "write `price: free`, or `price: {input: …, output: …}` in US dollars per million tokens"
    elif kind == "extra_forbidden":
        message, mend = "is not a setting", "remove it or check its spelling; config/README.md lists every setting"
    elif kind == "missing":
        mend = f"add `{path[-1]}`"
    return Problem(source.where(path), f"`{_dotted(path)}`: {message}", mend)


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path))


def _contradictions(settings: Settings, source: Source) -> Iterator[Problem]:
    """What no single field can know."""
    yield from _model_problems(settings, source)
    yield from service_problems(settings.services, settings.groups, settings.models, source)
    for at, service in enumerate(settings.services):
        terms = service.routing or settings.routing
        if not (terms.tiers_of(service.tiers) or service.tiers is None):
            message = f"service `{service.name}`: none of its `tiers` is within `min_tier` and `max_tier`"
            yield Problem(source.where(("services", at)), message, "change one of them")
    judges = (
        (("cache", "semantic", "judge_model"), settings.cache.semantic.judge_model),
        (("learning", "judge_model"), settings.learning.judge_model),
    )
    for path, judge in judges:
        if judge is not None and (judge not in settings.models or settings.models[judge].mode != "chat"):
            said = f"`{'.'.join(path)}`: no chat model `{judge}`"
            yield Problem(source.where(path), said, "use a chat model's name from `models:`")
    yield from _provider_problems(settings, source)
    if not settings.services and not is_loopback(settings.server.host):
        yield Problem(
            source.where(("server", "host")),
            f"`server.host` is {settings.server.host}, reachable by others, and no service has a key",
            "configure `services:` with keys, or bind to 127.0.0.1",
        )


def _provider_problems(settings: Settings, source: Source) -> Iterator[Problem]:
    for name, provider in settings.providers.items():
        path: KeyPath = ("providers", name)
        if provider.is_child and provider.model is None:
            mend = "add `model: smollm2-135m`"
            yield Problem(source.where(path), f"`providers.{name}` has neither `model` nor `base_url`", mend)
        if provider.hosts and (provider.base_url or provider.api_key or (*path, "api_key") in source.unset):
            mend = "write each address and key as one of `hosts`"
            yield Problem(
                source.where(path), f"`providers.{name}` has `hosts`, and an address or key beside them", mend
            )
        if provider.max_wait_s is not None and provider.max_concurrency is None and not provider.is_child:
            mend = "add `max_concurrency`, for a llama-server its `total_slots`"
            yield Problem(source.where(path), f"`providers.{name}.max_wait_s` is of a queue that is not here", mend)
        places = [(*path, "hosts", at) for at in range(len(provider.hosts))] or [path]
        for place, host in zip(places, provider.hosts or [provider], strict=True):
            if provider.kind == "llamacpp":
                if provider.hosts and host.base_url is None:
                    yield Problem(source.where(place), f"`{_dotted(place)}` has no `base_url`", "add it, with /v1")
            elif host.api_key is None and (*place, "api_key") not in source.unset:
                mend = f"add `api_key: os.environ/{provider.kind.upper()}_API_KEY`"
                yield Problem(source.where(place), f"`{_dotted(place)}` has no `api_key`", mend)


def _model_problems(settings: Settings, source: Source) -> Iterator[Problem]:
    for name, model in settings.models.items():
        if model.provider not in settings.providers:
            known = ", ".join(settings.providers)
            where = source.where(("models", name, "provider"))
            yield Problem(
                where, f"`models.{name}.provider`: there is no provider `{model.provider}`", f"use one of {known}"
            )
        if model.mode == "chat" and model.tier is None:
            yield Problem(
                source.where(("models", name)), f"`models.{name}` has no `tier`", "add light, medium or heavy"
            )
        if model.stated and (model.source is None or model.checked is None):
            first = min(model.stated)
            yield Problem(
                source.where(("models", name)),
                f"`models.{name}` states what the model accepts (`{first}`), but not who says so, and when",
                "add `source:` (where it was read) and `checked:` (the date)",
            )
        if name.partition(":")[0] == "auto":
            yield Problem(source.where(("models", name)), f"`{name}` is the router's own name", "rename the model")
