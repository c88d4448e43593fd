"""The compose files are valid, agree with the files they mount, keep no secret and open nothing to the network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from compose_spec import PyCompose

from gateway.settings import load
from tests.docker.dockerfile import ETC, ROOT, lay_out_etc, stages
from tests.fixtures.gateway import Config, running

FILES = sorted((ROOT / "docker").glob("compose*.yaml"))
NAMES = [file.name for file in FILES]
KEYS = {"THRIFTGATE_KEY": "k", "THRIFTGATE_ADMIN_KEY": "a"}


def interpolated(file: Path) -> str:
    """As with every variable unset that may be, and a folder's name in those that are required."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", file.read_text())
    return re.sub(r"\$\{\w+:\?[^}]*\}", "/set", text)


def services_of(file: Path) -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load(interpolated(file))["services"]
    return services


def each_service() -> list[tuple[Path, str, dict[str, Any]]]:
    return [(file, name, service) for file in FILES for name, service in services_of(file).items()]


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_it_follows_the_compose_specification(file: Path) -> None:
    assert PyCompose.from_yaml(interpolated(file)).service_names() == list(services_of(file))


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_what_services_name_is_defined(file: Path) -> None:
    document = yaml.safe_load(interpolated(file))
    for name, service in services_of(file).items():
        assert set(service.get("depends_on", ())) <= set(document["services"]), name
        named = {volume.partition(":")[0] for volume in service.get("volumes", ())}
        assert {volume for volume in named if volume[0] not in "./"} <= set(document["volumes"]), name


def test_what_is_mounted_from_the_project_is_there() -> None:
    mounted = [(file, volume.partition(":")[0]) for file, _, service in each_service() for volume in service["volumes"]]
    assert [source for file, source in mounted if source[0] == "." and not (file.parent / source).exists()] == []


def test_no_port_is_published_beyond_this_machine() -> None:
    ports = [port for _, _, service in each_service() for port in service.get("ports", ())]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_no_file_has_a_secret_in_it() -> None:
    secret = re.compile(r"^ *\w*(?:KEY|PASSWORD|SECRET|TOKEN)\w*: (?!\$\{|unused$)\S+", re.MULTILINE)
    assert [secret.findall(file.read_text()) for file in FILES] == [[] for _ in FILES]


def test_every_service_says_how_it_is_and_what_others_wait_for() -> None:
    for file, name, service in each_service():
        has_check = "healthcheck" in service or "build" in service  # the image has its own
        assert has_check or name == "app", (file, name)
        waits = service.get("depends_on", {}).values()
        assert all(wait == {"condition": "service_healthy"} for wait in waits), (file, name)


def test_the_gateway_has_nothing_to_write_to_but_its_volume() -> None:
    gateways = [service for _, _, service in each_service() if "build" in service]
    assert len(gateways) == len(FILES)
    for gateway in gateways:
        assert gateway["read_only"]
        assert gateway["cap_drop"] == ["ALL"]
        assert [volume for volume in gateway["volumes"] if not volume.endswith((":ro", ":/var/lib/thriftgate"))] == []
        assert gateway["build"].get("target", "full") in stages()


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_the_gateways_configuration_can_be_used(file: Path, tmp_path: Path) -> None:
    (gateway,) = (service for service in services_of(file).values() if "build" in service)
    etc = lay_out_etc("full", tmp_path)
    for volume in gateway["volumes"]:
        source, destination = volume.split(":")[:2]
        if destination.startswith(ETC):
            (etc / destination.removeprefix(f"{ETC}/")).write_text((file.parent / source).read_text())
    config = gateway["environment"]["THRIFTGATE_CONFIG"].removeprefix(f"{ETC}/")
    host = "127.0.0.1" if "127.0.0.1" in gateway.get("command", ()) else "0.0.0.0"
    settings = load(etc / config, KEYS, host=host).settings
    beside = re.findall(r"//(\w+):", " ".join((settings.state.redis_url, settings.vectors.qdrant_url)))
    beside += [
        provider.base_url.split("/")[2].split(":")[0]
        for provider in settings.providers.values()
        if provider.kind == "llamacpp" and provider.base_url
    ]
    assert set(beside) <= set(services_of(file))


async def test_the_sidecars_application_gets_its_answer(tmp_path: Path, four_providers: Config) -> None:
    async with running(tmp_path, four_providers) as gateway:
        done = await anyio.run_process(
            [sys.executable, "-I", ROOT / "docker/sidecar_app.py"],
            env={"OPENAI_BASE_URL": f"{gateway.url}/v1", "OPENAI_API_KEY": "unused"},
            stderr=subprocess.STDOUT,
            check=False,
        )
    assert (done.returncode, b"You said: Name the capital city of France." in done.stdout) == (0, True), done.stdout
