from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.fixed_settings import LIVE, refused_changes
from gateway.settings import Loaded, Settings, load

ROOT = Path(__file__).parent.parent
LOCAL = {"kind": "llamacpp", "model": "smollm2-135m"}
NEAR = {"kind": "llamacpp", "base_url": "http://gpu-host:8080/v1"}
CONFIG: dict[str, Any] = {
    "server": {"port": 4000},
    "providers": {"local": LOCAL, "far": {"kind": "openai", "api_key": "k"}},
    "models": {"m": {"provider": "far", "tier": "light", "price": "free"}},
}


def loaded(folder: Path, config: dict[str, Any]) -> Loaded:
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump(config))
    return load(file, {})


def refused(folder: Path, **changed: Any) -> list[str]:
    serving = loaded(folder, CONFIG)
    return [str(problem) for problem in refused_changes(serving, loaded(folder, {**CONFIG, **changed}))]


@pytest.mark.parametrize(
    ("section", "value", "path"),
    [
        ("server", {"port": 4001}, "server.port"),
        ("server", {"port": 4000, "host": "::1"}, "server.host"),
        ("data_dir", "/elsewhere", "data_dir"),
        ("state", {"redis_url": "redis://:hunter2@elsewhere"}, "state.redis_url"),
        ("vectors", {"max_points": 5}, "vectors.max_points"),
        ("embedder", {"engine": "none"}, "embedder.engine"),
        ("upstream", {"client": "httpx"}, "upstream.client"),
        ("providers", {**CONFIG["providers"], "local": {**LOCAL, "parallel": 2}}, "providers.local"),
        ("providers", {"far": CONFIG["providers"]["far"]}, "providers.local"),
        ("providers", {**CONFIG["providers"], "second": LOCAL}, "providers.second"),
    ],
)
def test_what_belongs_to_the_process_changes_only_with_a_restart(
    tmp_path: Path, section: str, value: Any, path: str
) -> None:
    (problem,) = refused(tmp_path, **{section: value})
    assert f"`{path}` changes only with a restart" in problem
    assert "hunter2" not in problem


def test_every_fixed_setting_that_differs_is_named_with_its_place(tmp_path: Path) -> None:
    problems = refused(tmp_path, server={"port": 1}, state={"timeout_ms": 1})
    assert ["`server.port`" in problems[0], "`state.timeout_ms`" in problems[1]] == [True, True]
    assert all("gateway.yaml:" in problem for problem in problems)


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("server", {"port": 4000, "admin_key": "a", "public_metrics": True, "max_body_bytes": 2_048}),
        ("services", [{"name": "shop", "key": "k", "budget": {"tokens": 5}}]),
        ("models", {"other": {"provider": "far", "tier": "heavy", "price": "free"}}),
        ("cache", {"exact": {"ttl_s": 5}, "semantic": {"threshold": 0.99}}),
        ("timeouts", {"total_s": 5}),
        ("upstream", {"attempts_per_model": 1}),
        ("providers", {"local": LOCAL, "far": {"kind": "openai", "api_key": "k2"}, "near": NEAR}),
    ],
)
def test_what_a_generation_is_built_from_may_change(tmp_path: Path, section: str, value: Any) -> None:
    assert refused(tmp_path, **{section: value}) == []


def test_nothing_changed_is_nothing_refused(tmp_path: Path) -> None:
    assert refused(tmp_path) == []


def test_what_needs_a_restart_is_documented() -> None:
    text = (ROOT / "config/README.md").read_text().split("**Changing it while it runs.**")[1].split("\n\n")[0]
    fixed: set[str] = set()
    for section, field in Settings.model_fields.items():
        parts = {path[1] for path in LIVE if path[0] == section and len(path) == 2}
        if parts:
            inner: Any = field.annotation
            fixed |= {f"{section}.{name}" for name in inner.model_fields if name not in parts}
        elif (section,) not in LIVE:
            fixed.add(section)
    assert set(re.findall(r"`([a-z_.]+)`", text)) == fixed


def test_what_is_live_exists() -> None:
    for section, *rest in LIVE:
        field = Settings.model_fields[str(section)]
        assert all(name in field.annotation.model_fields for name in rest)  # type: ignore[union-attr]  # a section
