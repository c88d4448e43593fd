"""The Dockerfile's words agree with the project's: what it copies, starts and asks is there."""

from __future__ import annotations

import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gateway import __version__, cli
from gateway.settings import Server, load
from tests.docker.dockerfile import FILE, ROOT, lay_out_etc, stages

RUNTIME = stages()["runtime"]


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, "--no-color", FILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_it_copies_is_there_and_gets_past_dockerignore() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [source for stage in stages().values() for sources, _ in stage.copied() for source in sources]
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert [source for source in copied if not any(f"{source}/".startswith(f"{name}/") for name in allowed)] == []


def test_it_starts_a_command_that_there_is() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    (command,) = RUNTIME.words("ENTRYPOINT")
    assert scripts[command] == "gateway.cli:main"
    with pytest.raises(SystemExit) as ended:
        cli.main([*RUNTIME.words("CMD"), "--help"])
    assert ended.value.code == 0


def test_it_exposes_the_port_that_the_gateway_takes() -> None:
    assert RUNTIME.of("EXPOSE") == [str(Server().port)]


def test_its_label_says_the_version() -> None:
    assert f'image.version="{__version__}"' in RUNTIME.of("LABEL")[0]


@pytest.mark.parametrize("target", ["slim", "full"])
def test_it_runs_as_a_number_that_is_not_root(target: str) -> None:
    users = [*RUNTIME.of("USER"), *stages()[target].of("USER")]
    assert users[-1] == "10001:10001"


@pytest.mark.parametrize("target", ["slim", "full"])
def test_its_configuration_wants_a_key_and_can_be_used_with_one(target: str, tmp_path: Path) -> None:
    folder = lay_out_etc(target, tmp_path)
    loaded = load(folder / "gateway.yaml", {"THRIFTGATE_KEY": "k"}, host="0.0.0.0")
    assert [service.name for service in loaded.settings.services] == ["default"]


@pytest.mark.parametrize("target", ["slim", "full"])
def test_its_sidecar_configuration_is_keyless_on_loopback(target: str, tmp_path: Path) -> None:
    loaded = load(lay_out_etc(target, tmp_path) / "sidecar.yaml", {}, host="127.0.0.1")
    assert loaded.settings.services == []


def health(*arguments: str) -> subprocess.CompletedProcess[str]:
    words = RUNTIME.words("HEALTHCHECK")
    command = [sys.executable, *words[1:], *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_its_health_check_fails_where_nobody_listens_and_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        done = health(str(taken.getsockname()[1]))
    assert (done.returncode, "refused" in done.stderr) == (1, True)
