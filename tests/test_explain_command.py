from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway import cli
from gateway.adapters.router_weights import load, save

CONFIG = """\
providers:
  cloud: {kind: openai, base_url: "http://127.0.0.1:9/v1", api_key: k}
models:
  small: {provider: cloud, tier: light, price: {input: 1, output: 1}}
  large: {provider: cloud, tier: heavy, price: {input: 5, output: 5}}
routing: {quality_target: 0.5}
"""
CHOICE = "Which animal is a mammal?\nA. whale\nB. shark\nC. trout\nD. newt\nAnswer:"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.yaml"
    file.write_text(CONFIG)
    return file


def run(capsys: pytest.CaptureFixture[str], config: Path, *arguments: str) -> tuple[int, str, str]:
    status = cli.main(["explain", "--config", str(config), *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_prompt_is_explained_in_words(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said, _ = run(capsys, config, CHOICE)
    lines = said.splitlines()
    assert status == 0
    assert lines[0].startswith("light: small, for service default by a quality target of 50 % (policy ")
    assert "the policy goes by this" in said
    assert [line.split()[:3] for line in lines[-2:]] == [["1.", "light", "small"], ["2.", "heavy", "large"]]


def test_and_as_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, said, _ = run(capsys, config, CHOICE, "--json")
    assert json.loads(said)["tier"] == "light"


def test_a_whole_request_may_be_asked_about(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"model": "auto:heavy", "messages": [{"role": "user", "content": "Hello"}]}))
    assert run(capsys, config, "--request", str(request))[1].startswith("heavy: large,")


def test_other_weights_are_previewed_beside_the_configured(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped, other = load(), tmp_path / "other.npz"
    save(type(shipped)(shipped.scale, shipped.light, (), shipped.level, shipped.curve, shipped.promises, ""), other)
    _, said, _ = run(capsys, config, CHOICE, "--weights", str(other))
    assert "unlike what the router learned from" in said
    assert said.splitlines()[-1].startswith("as configured: light: small")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("Hello", "--model", "gpt-9"), "There is no model `gpt-9`"),
        (("Hello", "--service", "nobody"), "name one of the services with --service: default"),
        (("--request", "nowhere.json"), "nowhere.json"),
    ],
)
def test_what_cannot_be_explained_is_said_and_fails(
    config: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    status, _, error = run(capsys, config, *arguments)
    assert status == 1
    assert words in error


def test_weights_that_cannot_be_read_are_a_matter_of_configuration(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, error = run(capsys, config, CHOICE, "--weights", "gone.npz")
    assert status == 2
    assert "gone.npz" in error


def test_check_says_by_what_auto_is_routed(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(
        f"{CONFIG}data_dir: {tmp_path}\nembedder: {{engine: none}}\nstate: {{redis_url: 'redis://127.0.0.1:9'}}\n"
        "services: [{name: a, key: k}, {name: b, key: l, routing: {light_share: 0.6}},"
        " {name: c, key: m, routing: {}}]\n"
    )
    assert cli.main(["check", "--config", str(config)]) == 0
    said = capsys.readouterr().out
    assert "auto: routing by a quality target of 50 % (policy " in said
    assert said.count("    routing by ") == 2
    assert "    routing by shares of 60 % light and 0 % medium (policy " in said
