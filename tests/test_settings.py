from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.core.budget import MAX_LIMIT
from gateway.model_settings import ListUsd
from gateway.settings import Loaded, is_loopback, load, read_back
from gateway.yaml_source import ConfigError, Problem

ROOT = Path(__file__).parent.parent
SECRET = "sk-very-secret-9f3a"
SHA256 = hashlib.sha256(SECRET.encode()).hexdigest()
LEAST = """\
providers:
  local: {kind: llamacpp, model: m}
models:
  m: {provider: local, tier: light, price: free}
"""


class Configuration:
    """A file in a folder of its own, read with a chosen environment."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "gateway.yaml"

    def load(
        self, content: str, environ: Mapping[str, str] | None = None, host: str | None = None, port: int | None = None
    ) -> Loaded:
        self.path.write_text(content)
        return load(self.path, environ or {}, host=host, port=port)

    def problems(self, content: str, environ: Mapping[str, str] | None = None) -> tuple[Problem, ...]:
        with pytest.raises(ConfigError) as caught:
            self.load(content, environ)
        return caught.value.problems

    def problem(self, content: str, environ: Mapping[str, str] | None = None) -> Problem:
        (only,) = self.problems(content, environ)
        return only


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    return Configuration(tmp_path)


# what is accepted


def test_two_sections_are_enough(configuration: Configuration) -> None:
    settings = configuration.load(LEAST).settings
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 4000)
    assert settings.state.redis_url == "embedded"
    assert settings.cache.semantic.threshold == 0.95


def test_the_shipped_configuration_needs_no_key() -> None:
    loaded = load(ROOT / "config/gateway.yaml", {})
    assert not loaded.settings.services
    assert loaded.absence("openai") == "OPENAI_API_KEY is not set"
    assert loaded.absence("local") is None


def test_a_providers_key_makes_it_present() -> None:
    loaded = load(ROOT / "config/gateway.yaml", {"OPENAI_API_KEY": SECRET})
    assert loaded.absence("openai") is None
    assert loaded.settings.providers["openai"].api_key == SECRET


def test_the_command_line_wins_over_the_file(configuration: Configuration) -> None:
    settings = configuration.load(LEAST + "server: {port: 1, drain_s: 3}\n", port=2).settings
    assert (settings.server.port, settings.server.drain_s) == (2, 3)


def test_the_data_directory_is_the_command_lines_or_the_environments_or_the_files(
    configuration: Configuration,
) -> None:
    configuration.path.write_text(LEAST + "data_dir: file\n")
    environ = {"THRIFTGATE_DATA_DIR": "environment"}
    assert load(configuration.path, environ, data_dir="line").settings.data_dir == Path("line")
    assert load(configuration.path, environ).settings.data_dir == Path("environment")
    assert load(configuration.path, {}).settings.data_dir == Path("file")


def test_a_price_is_read_digit_by_digit(configuration: Configuration) -> None:
    settings = configuration.load(LEAST.replace("free", "{input: 0.1, output: 0.30000000000000004}")).settings
    price = settings.models["m"].price
    assert isinstance(price, ListUsd)
    assert (price.input, price.output) == (Decimal("0.1"), Decimal("0.30000000000000004"))


def test_a_model_may_have_a_number_for_a_name(configuration: Configuration) -> None:
    assert list(configuration.load(LEAST.replace("  m:", "  4:")).settings.models) == ["4"]


def test_settings_cannot_be_changed_after_loading(configuration: Configuration) -> None:
    server = configuration.load(LEAST).settings.server
    with pytest.raises(ValueError, match="frozen"):
        setattr(server, "port", 5)  # noqa: B010  # as an attribute mypy would refuse it first


# what is refused, with file, line, key and mend


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("serverr: {}", "serverr"),
        ("server: {prot: 4000}", "server.prot"),
        ("server: {port: 70000}", "server.port"),
        ("server: {port: many}", "server.port"),
        ("server: 5", "server"),
        ("server: [host]", "server"),
        ("server: text", "server"),
        ("server: {max_body_bytes: 1}", "server.max_body_bytes"),
        ("server: {admin_key: ''}", "server.admin_key"),
        ("server: {admin_key: 7}", "server.admin_key"),
        ("data_dir: [a]", "data_dir"),
        ("state: {redis_url: }", "state.redis_url"),
        ("vectors: {qdrant_api_key: ''}", "vectors.qdrant_api_key"),
        ("embedder: {engine: torch}", "embedder.engine"),
        ("cache: {semantic: {threshold: 0.9}}", "cache.semantic.threshold"),
        ("cache: {semantic: {threshold: .nan}}", "cache.semantic.threshold"),
        ("cache: {semantic: {explore_share: 0}}", "cache.semantic.explore_share"),
        ("cache: {semantic: {shadow_share: 1.5}}", "cache.semantic.shadow_share"),
        ("cache: {semantic: {judge_model: nobody}}", "cache.semantic.judge_model"),
        ("cache: {exact: {ttl_s: 0}}", "cache.exact.ttl_s"),
        ("timeouts: {total_s: .inf}", "timeouts.total_s"),
        ("timeouts: {connect_s: 0}", "timeouts.connect_s"),
        ("upstream: {attempts_per_model: 0}", "upstream.attempts_per_model"),
        ("services: {a: {}}", "services"),
        ("services: [a]", "services.0"),
        ("services: [{key: k}]", "services.0.name"),
        ("services: [{name: 'a b', key: k}]", "services.0.name"),
        ("services: [{name: a, key: ''}]", "services.0.key"),
        ("services: [{name: a, key_sha256: abc}]", "services.0.key_sha256"),
        ("services: [{name: a, key: k, budget: {tokens: 0}}]", "services.0.budget.tokens"),
        ("services: [{name: a, key: k, budget: {tokens: 9007199254740992}}]", "services.0.budget.tokens"),
        ("services: [{name: a, key: k, budget: {usd: -1}}]", "services.0.budget.usd"),
        ("services: [{name: a, key: k, budget: {usd: .nan}}]", "services.0.budget.usd"),
        ("services: [{name: a, key: k, budget: {usd: 9007200}}]", "services.0.budget.usd"),
        ("services: [{name: a, key: k, budget: {usd: 1, window: year}}]", "services.0.budget.window"),
        ("services: [{name: a, key: k, budget: {usd: 1, style: rolling}}]", "services.0.budget.style"),
        ("services: [{name: a, key: k, budget: {usd: 1, enforcement: firm}}]", "services.0.budget.enforcement"),
        ("services: [{name: a, key: k, budget: {usd: 1, when_unavailable: no}}]", "services.0.budget.when_unavailable"),
        ("services: [{name: a, key: k, budget: {usd: 0}}]", "services.0.budget.usd"),
        ("services: [{name: a, key: k, budget: {usd: 1, ladder: {warn: 0}}}]", "services.0.budget.ladder.warn"),
        ("services: [{name: a, key: k, budget: {usd: 1, ladder: {local: 1.1}}}]", "services.0.budget.ladder.local"),
        ("services: [{name: a, key: k, budget: {usd: 1, pacing: {burst: 0}}}]", "services.0.budget.pacing.burst"),
        ("services: [{name: a, key: k, budget: {usd: 1, pacing: {burst: 1}}}]", "services.0.budget.pacing.burst"),
        ("services: [{name: a, key: k, budget: {usd: 1, pacing: {}}}]", "services.0.budget.pacing.burst"),
        ("services: [{name: a, key: k, budgets: [{usd: 1}, {usd: 0}]}]", "services.0.budgets.1.usd"),
        ("services: [{name: a, key: k, budgets: {usd: 1}}]", "services.0.budgets"),
        ("services: [{name: a, limits: {requests_per_minute: 0}}]", "services.0.limits.requests_per_minute"),
        ("services: [{name: a, limits: {tokens_per_minute: 0}}]", "services.0.limits.tokens_per_minute"),
        ("services: [{name: a, limits: {concurrency: 0}}]", "services.0.limits.concurrency"),
        ("services: [{name: a, keys: k}]", "services.0.keys"),
        ("services: [{name: a, keys: ['']}]", "services.0.keys.0"),
        ("services: [{name: a, tiers: []}]", "services.0.tiers"),
        ("services: [{name: a, tiers: [huge]}]", "services.0.tiers.0"),
        ("services: [{name: a, tags: {team: [x]}}]", "services.0.tags.team"),
        ("groups: [{name: 'a b'}]", "groups.0.name"),
        ("groups: [{name: a, models: [m]}]", "groups.0.models"),
        ("groups: [{name: a, budgets: [{tokens: 0}]}]", "groups.0.budgets.0.tokens"),
        ("services: [{name: a, key: k, models: auto}]", "services.0.models"),
    ],
)
def test_a_wrong_setting_is_told_with_file_line_key_and_mend(configuration: Configuration, line: str, key: str) -> None:
    found = configuration.problem(LEAST + "\n" + line + "\n")
    assert found.where == f"{configuration.path}:6"
    assert f"`{key}`" in found.message
    assert found.mend


@pytest.mark.parametrize(
    ("models", "key"),
    [
        ("m: {provider: local, tier: lite, price: free}", "models.m.tier"),
        ("m: {tier: light, price: free}", "models.m.provider"),
        ("m: {provider: lokal, tier: light, price: free}", "models.m.provider"),
        ("m: {provider: local, price: free}", "models.m"),
        ("m: {provider: local, tier: light, price: fre}", "models.m.price"),
        ("m: {provider: local, tier: light, price: 5}", "models.m.price"),
        ("m: {provider: local, tier: light, price: {input: 1}}", "models.m.price.output"),
        ("m: {provider: local, tier: light, price: {input: x, output: 1}}", "models.m.price.input"),
        ("m: {provider: local, tier: light, price: {input: -1, output: 1}}", "models.m.price.input"),
        ("m: {provider: local, tier: light, price: {input: .inf, output: 1}}", "models.m.price.input"),
        ("m: {provider: local, tier: light, price: {input: 1, output: 1, batch: 1}}", "models.m.price.batch"),
        ("m: {provider: local, tier: light, contxt_tokens: 5}", "models.m.contxt_tokens"),
        ("auto: {provider: local, tier: light, price: free}", "auto"),
        ("'auto:light': {provider: local, tier: light, price: free}", "auto:light"),
    ],
)
def test_a_wrong_model_is_told_once_with_its_key(configuration: Configuration, models: str, key: str) -> None:
    found = configuration.problem(f"providers:\n  local: {{kind: llamacpp, model: m}}\nmodels:\n  {models}\n")
    assert found.where == f"{configuration.path}:4"
    assert f"`{key}`" in found.message
    assert found.mend


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        ("{kind: llamacpp}", "neither `model` nor `base_url`"),
        ("{kind: openai}", "no `api_key`"),
        ("{kind: openai, api_key: }", "no `api_key`"),
        ("{kind: openai, api_key: ''}", "`providers.local.api_key`"),
        ("{kind: gemini}", "`providers.local.kind`"),
        ("{}", "`providers.local.kind`"),
    ],
)
def test_a_wrong_provider_is_told(configuration: Configuration, provider: str, message: str) -> None:
    found = configuration.problem(LEAST.replace("{kind: llamacpp, model: m}", provider))
    assert found.where == f"{configuration.path}:2"
    assert message in found.message
    assert found.mend


TWO_HOSTS = """\
providers:
  far: {kind: openai, hosts: [{base_url: "http://one/v1", api_key: os.environ/ONE}, {api_key: os.environ/TWO}]}
models:
  m: {provider: far, tier: light, price: free}
"""


def test_a_host_without_its_key_is_left_out_and_a_provider_without_any_is_absent(configuration: Configuration) -> None:
    one = configuration.load(TWO_HOSTS, {"ONE": SECRET})
    assert (one.absence("far"), [host.base_url for host in one.hosts("far")]) == (None, ["http://one/v1"])
    none = configuration.load(TWO_HOSTS)
    assert (none.absence("far"), none.hosts("far")) == ("ONE and TWO is not set", [])


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            "kind: openai, api_key: k, hosts: [{api_key: k}]",
            "`providers.far` has `hosts`, and an address or key beside",
        ),
        ("kind: openai, hosts: [{base_url: 'http://one/v1'}]", "`providers.far.hosts.0` has no `api_key`"),
        ("kind: openai, api_key: k, max_wait_s: 5", "`providers.far.max_wait_s` is of a queue that is not here"),
        ("kind: llamacpp, hosts: [{api_key: k}]", "`providers.far.hosts.0` has no `base_url`"),
    ],
)
def test_hosts_that_cannot_be_asked_are_refused(configuration: Configuration, written: str, told: str) -> None:
    models = TWO_HOSTS.partition("models:")[2]
    found = configuration.problem(f"providers:\n  far: {{{written}}}\nmodels:{models}")
    assert told in found.message
    assert found.mend


def test_all_problems_are_told_at_once(configuration: Configuration) -> None:
    found = configuration.problems(LEAST + "server: {port: x}\ntimeouts: {total_s: 0}\nnonsense: 1\n")
    assert [problem.where.rpartition(":")[2] for problem in found] == ["5", "6", "7"]


def test_an_included_files_error_is_told_there(configuration: Configuration) -> None:
    other = configuration.path.parent / "other.yaml"
    other.write_text("\n\nserver: {port: x}\n")
    assert configuration.problem(LEAST + "include: other.yaml\n").where == f"{other}:3"


def test_a_configuration_of_nothing_says_what_is_needed(configuration: Configuration) -> None:
    found = configuration.problems("server: {}\n")
    assert {problem.mend for problem in found} == {"add `providers`", "add `models`"}


# services


def test_a_service_may_name_models_in_every_spelling(configuration: Configuration) -> None:
    content = LEAST.replace("price: free", "price: free, upstream: u")
    allowed = "[auto, 'auto:light', m, local/m, local/u]"
    settings = configuration.load(content + f"services: [{{name: a, key: k, models: {allowed}}}]\n").settings
    assert len(settings.services[0].models or []) == 5


def test_a_key_is_the_same_written_out_or_as_its_digest(configuration: Configuration) -> None:
    plain = configuration.load(LEAST + f"services: [{{name: a, key: {SECRET}}}]\n").settings.services[0]
    hashed = configuration.load(LEAST + f"services: [{{name: a, key_sha256: {SHA256}}}]\n").settings.services[0]
    assert plain.digests == hashed.digests == (SHA256,)


def test_the_largest_budget_the_ledger_can_hold_is_accepted(configuration: Configuration) -> None:
    service = f"{{name: a, key: k, budget: {{tokens: {MAX_LIMIT}, usd: 9007199}}}}"
    assert configuration.load(LEAST + f"services: [{service}]\n").settings.services[0].budget is not None


# who may reach a gateway without keys


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "gateway.example.org", "", "::ffff:127.0.0.1"])
def test_without_keys_only_this_machine_may_call(configuration: Configuration, host: str) -> None:
    found = configuration.problem(LEAST + f"server:\n  host: '{host}'\n")
    assert found.where == f"{configuration.path}:6"
    assert "no service has a key" in found.message
    assert "services:" in found.mend


def test_the_command_line_cannot_open_a_gateway_without_keys(configuration: Configuration) -> None:
    with pytest.raises(ConfigError, match="no service has a key"):
        configuration.load(LEAST, host="0.0.0.0")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_keys(configuration: Configuration, host: str) -> None:
    assert is_loopback(host)
    configuration.load(LEAST + f"server: {{host: '{host}'}}\n")


def test_with_keys_everybody_may_call(configuration: Configuration) -> None:
    configuration.load(LEAST + "server: {host: 0.0.0.0}\nservices: [{name: a, key: k}]\n")


# secrets


@pytest.mark.parametrize("environ", [{}, {"KEY": ""}])
@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("server: {admin_key: os.environ/KEY}", "server.admin_key"),
        ("state: {redis_url: os.environ/KEY}", "state.redis_url"),
        ("vectors: {qdrant_api_key: os.environ/KEY}", "vectors.qdrant_api_key"),
        ("services: [{name: a, key: os.environ/KEY}]", "services.0.key"),
        ("services: [{name: a, keys: [os.environ/KEY]}]", "services.0.keys.0"),
    ],
)
def test_an_unset_or_empty_variable_is_told_once(
    configuration: Configuration, line: str, key: str, environ: dict[str, str]
) -> None:
    found = configuration.problem(LEAST + line + "\n", environ)
    assert found.where == f"{configuration.path}:5"
    assert found.message == f"`{key}`: KEY is not set"
    assert "KEY" in found.mend


@pytest.mark.parametrize(
    "line",
    [
        "server: {admin_key: {a: SECRET}}",
        "server: {admin_key: [SECRET]}",
        "server: {port: SECRET}",
        "server: SECRET",
        "data_dir: {a: SECRET}",
        "state: {redis_url: [SECRET]}",
        "embedder: {engine: SECRET}",
        "services: SECRET",
        "services: [SECRET]",
        "services: [{name: 'a b', key: SECRET}]",
        "services: [{name: a, key: SECRET, budget: {usd: SECRET}}]",
        "services: [{name: a, key: SECRET, key_sha256: SECRET}]",
        "services: [{name: a, key: SECRET, models: SECRET}]",
        "services: [{name: a, key: SECRET}, {name: b, key: SECRET}]",
        "services: [{name: a, key: {SECRET: 1}}]",
        "services: [{name: a, key_sha256: SECRET}]",
        "services: [{name: a, keys: SECRET}]",
        "services: [{name: a, keys: [SECRET, {SECRET: 1}]}]",
        "services: [{name: a, keys: [SECRET]}, {name: b, keys: [SECRET]}]",
        "timeouts: {total_s: SECRET}",
        "cache: {semantic: {threshold: SECRET}}",
    ],
)
@pytest.mark.parametrize("source", [SECRET, "os.environ/KEY"])
def test_no_error_shows_a_secret(configuration: Configuration, line: str, source: str) -> None:
    content = LEAST + line.replace("SECRET", source) + "\n"
    with pytest.raises(ConfigError) as caught:
        configuration.load(content, {"KEY": SECRET})
    error = caught.value
    assert SECRET not in str(error)
    assert SECRET not in repr(error)
    assert error.__suppress_context__ or error.__context__ is None


def test_another_process_reads_back_what_one_has_read() -> None:
    """The shipped files have dates, lists of prices and variables that are not set."""
    loaded = load(ROOT / "config/gateway.yaml", {"OPENAI_API_KEY": SECRET}, port=4711, data_dir="elsewhere")
    again = read_back(loaded.written(), loaded.again)
    assert again.settings == loaded.settings
    assert (again.source.places, again.source.unset) == (loaded.source.places, loaded.source.unset)
    assert (again.absence("deepseek"), again.absence("openai")) == ("DEEPSEEK_API_KEY is not set", None)
    assert [model.stated for model in again.settings.models.values()] == [
        model.stated for model in loaded.settings.models.values()
    ]


def test_auto_is_a_worker_for_each_core(configuration: Configuration) -> None:
    auto = configuration.load("server: {workers: auto}\n" + LEAST).settings.server
    assert 1 <= auto.worker_count <= (os.cpu_count() or 1)
    assert configuration.load("server: {workers: 3}\n" + LEAST).settings.server.worker_count == 3
    (problem, *_) = configuration.problems("server: {workers: 0}\n" + LEAST)
    assert "server.workers" in problem.message
