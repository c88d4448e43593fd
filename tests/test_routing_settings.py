from __future__ import annotations

from pathlib import Path

import pytest

from gateway.adapters.router_weights import SHIPPED, load, save
from gateway.core.policy import Policy, TierShares
from gateway.core.tiers import Tier
from gateway.routing_policies import Router
from gateway.routing_settings import RoutingTerms
from gateway.service_catalog import ANONYMOUS, anonymous, build_services
from gateway.settings import Loaded
from gateway.settings import load as load_settings
from gateway.yaml_source import ConfigError

LEAST = """\
providers:
  local: {kind: llamacpp, model: m}
models:
  m: {provider: local, tier: light, price: free}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.yaml"


def loaded(file: Path, routing: str = "{}", service: str = "") -> Loaded:
    services = f"services: [{{name: a, key: k, {service}}}]\n" if service else ""
    file.write_text(f"{LEAST}routing: {routing}\n{services}")
    return load_settings(file, {})


def policy_of(file: Path, routing: str = "{}", service: str = "tags: {}") -> Policy:
    found = loaded(file, routing, service)
    return build_services(found, Router(found).policy)["a"].policy


def test_without_a_word_routing_is_by_rules_and_needs_no_weights(file: Path) -> None:
    router = Router(loaded(file))
    assert router.policy(RoutingTerms()) == Policy()
    assert "weights" not in vars(router)


def test_a_target_has_its_bounds_from_the_weights(file: Path) -> None:
    policy = policy_of(file, "{quality_target: 0.98}")
    assert policy.quality_target == 0.98
    assert policy.bounds[frozenset({Tier.LIGHT, Tier.HEAVY})][Tier.LIGHT] == pytest.approx(load().bound(0.98))


def test_a_services_own_routing_replaces_the_general_one_whole(file: Path) -> None:
    general = "{quality_target: 0.98, min_tier: medium}"
    assert policy_of(file, general, "routing: {light_share: 0.5}").shares == TierShares(0.5, 0.0)
    assert policy_of(file, general, "routing: {}") == Policy()
    assert policy_of(file, general).quality_target == 0.98


@pytest.mark.parametrize(
    ("routing", "tiers", "left"),
    [
        ("{min_tier: medium}", "tags: {}", frozenset({Tier.MEDIUM, Tier.HEAVY})),
        ("{max_tier: medium}", "tags: {}", frozenset({Tier.LIGHT, Tier.MEDIUM})),
        ("{min_tier: medium}", "tiers: [light, medium]", frozenset({Tier.MEDIUM})),
        ("{}", "tags: {}", None),
    ],
)
def test_bounds_of_the_tier_are_tiers_of_the_service(
    file: Path, routing: str, tiers: str, left: frozenset[Tier] | None
) -> None:
    assert build_services(loaded(file, routing, tiers))["a"].tiers == left


def test_without_services_the_general_routing_is_everyones(file: Path) -> None:
    found = loaded(file, "{quality_target: 0.9, max_tier: medium}")
    everyone = anonymous(found, Router(found).policy)
    assert (everyone.name, everyone.policy.quality_target) == (ANONYMOUS.name, 0.9)
    assert everyone.tiers == frozenset({Tier.LIGHT, Tier.MEDIUM})


@pytest.mark.parametrize(
    ("routing", "words"),
    [
        ("{quality_target: 0.98, light_share: 0.5}", "remove one of them"),
        ("{light_share: 0.7, medium_share: 0.4}", "lower one of them"),
        ("{min_tier: heavy, max_tier: light}", "exchange them"),
        ("{quality_target: 1.2}", "less than or equal to 1"),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_mend(file: Path, routing: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        loaded(file, routing)


def test_a_service_whose_tiers_are_all_out_of_bounds_is_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match="service `a`: none of its `tiers` is within `min_tier` and `max_tier`"):
        loaded(file, "{min_tier: medium}", "tiers: [light]")


# weights and versions


def test_other_weights_have_another_version(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.npz"
    weights = load()
    save(type(weights)(weights.scale, weights.light, weights.kinds, 0.5, weights.curve, weights.promises, ""), other)
    versions = {
        Router(loaded(file, routing)).version
        for routing in ("{}", "{quality_target: 0.98}", f"{{weights: {other}}}", f"{{weights: {SHIPPED}}}")
    }
    assert len(versions) == 3  # naming the shipped file changes nothing


def test_a_services_terms_are_in_the_version(file: Path) -> None:
    one, two = (
        Router(loaded(file, service=f"routing: {{quality_target: {target}}}")).version for target in (0.98, 0.95)
    )
    assert one != two
    assert len(one) == 8


def test_weights_that_cannot_be_read_name_the_setting_and_the_mend(file: Path) -> None:
    found = loaded(file, "{weights: nowhere.npz}")
    with pytest.raises(ConfigError, match=r"(?s)`routing.weights`: .*nowhere.npz.*thriftgate train-router"):
        Router(found)
