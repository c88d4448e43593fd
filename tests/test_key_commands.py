"""`thriftgate keys` as a process of its own, beside a gateway that runs."""

from __future__ import annotations

import json
import subprocess
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from gateway.core.service_key import digest_of, id_in
from gateway.key_commands import duration_s, key_id
from tests.fixtures.process import COMMAND

THRIFTGATE = COMMAND[0]
LEAST = """\
providers: {local: {kind: llamacpp, model: m}}
models: {m: {provider: local, tier: light, price: free}}
"""
SECRET = "tg-abcd1234-" + "x" * 43


class Keys:
    """`thriftgate keys` with a configuration and a data directory of its own."""

    def __init__(self, folder: Path, services: str = "[{name: shop}, {name: search}]") -> None:
        self.file = folder / "gateway.yaml"
        self.file.write_text(f"{LEAST}services: {services}\n")
        self.folder = folder

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        where = ("--config", str(self.file), "--data-dir", str(self.folder / "state"))
        command = [THRIFTGATE, "keys", *arguments, *where]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def done(self, *arguments: str) -> str:
        """What it says to scripts: its standard output."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self) -> list[dict[str, str | None]]:
        document = json.loads((self.folder / "state/keys.json").read_text())
        return list(document["keys"])


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def test_a_new_key_is_all_of_standard_output_and_kept_as_its_digest(keys: Keys) -> None:
    done = keys.run("create", "shop", "--name", "ci", "--expires", "90d")
    secret = done.stdout.rstrip("\n")
    (row,) = keys.rows()
    assert done.returncode == 0
    assert id_in(secret) == row["id"]
    assert (row["sha256"], row["service"], row["name"]) == (digest_of(secret), "shop", "ci")
    assert f"tg-{row['id']} is a key of service shop, good until {row['expires']}" in done.stderr
    assert "this once" in done.stderr
    assert secret not in done.stderr


def test_keys_are_listed_without_their_secrets(keys: Keys) -> None:
    secrets = [keys.done("create", service).strip() for service in ("shop", "search")]
    keys.done("revoke", id_in(secrets[0]) or "")
    headline, first, second = keys.done("list").splitlines()
    assert headline.split() == ["KEY", "SERVICE", "NAME", "CREATED", "EXPIRES", "STATE"]
    assert first.split()[0] == secrets[0][:11]
    assert first.endswith(" revoked")
    assert second.split()[1] == "search"
    assert second.endswith(" good")
    assert not any(secret[12:] in first + second for secret in secrets)


def test_a_key_of_a_service_that_is_gone_is_listed_as_such(keys: Keys, tmp_path: Path) -> None:
    keys.done("create", "shop")
    assert Keys(tmp_path, "[{name: other}]").done("list").endswith("its service is not configured\n")


def test_where_there_are_no_keys_the_list_says_how_to_make_one(keys: Keys) -> None:
    assert "thriftgate keys create SERVICE" in keys.done("list")


def test_a_rotated_key_is_followed_by_a_new_one(keys: Keys) -> None:
    old = id_in(keys.done("create", "shop", "--name", "ci").strip())
    rotated = keys.run("rotate", f"tg-{old}", "--grace", "1h")
    before, after = keys.rows()
    assert rotated.stdout.strip().startswith(f"tg-{after['id']}-")
    assert (after["service"], after["name"], after["expires"]) == ("shop", "ci", None)
    assert f"tg-{old} is good until {before['expires']}" in rotated.stderr


@pytest.mark.parametrize("act", ["rotate", "revoke"])
def test_an_unknown_key_fails_with_what_to_do(keys: Keys, act: str) -> None:
    done = keys.run(act, "abcd1234")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "thriftgate: There is no such key; `thriftgate keys list` shows those there are.\n"


def test_a_key_is_for_a_service_that_is_configured(keys: Keys) -> None:
    done = keys.run("create", "nobody")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{keys.file}:3: there is no service `nobody`" in done.stderr
    assert "use one of shop, search, or add it" in done.stderr


def test_without_services_the_mend_is_told(tmp_path: Path) -> None:
    done = Keys(tmp_path, "[]").run("create", "shop")
    assert done.returncode == 2
    assert "no `services:` are configured" in done.stderr
    assert "add `services: [{name: shop}]`" in done.stderr


def test_a_damaged_file_is_told_and_left_alone(keys: Keys) -> None:
    (keys.folder / "state").mkdir()
    (keys.folder / "state/keys.json").write_text("{")
    done = keys.run("create", "shop")
    assert done.returncode == 1
    assert "keys.json is not a file of keys" in done.stderr
    assert (keys.folder / "state/keys.json").read_text() == "{"


def test_a_whole_key_given_for_its_id_is_taken_and_never_repeated(keys: Keys) -> None:
    done = keys.run("revoke", SECRET)
    assert done.returncode == 1
    wrong = keys.run("revoke", SECRET[:-20])
    assert wrong.returncode == 2
    assert "x" * 10 not in done.stderr + wrong.stderr


@pytest.mark.parametrize("text", ["abcd1234", "tg-abcd1234", SECRET])
def test_an_id_may_be_written_in_three_ways(text: str) -> None:
    assert key_id(text) == "abcd1234"


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("15m", 900), ("24h", 86_400), ("90d", 7_776_000), ("2w", 1_209_600)]
)
def test_a_time_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "d", "0d", "-1d", "1.5h", "1y", "90 d", "٣d", "12345678d"])
def test_any_other_time_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="such as 90d"):
        duration_s(text)


def test_a_wrong_time_is_a_wrong_command_line(keys: Keys) -> None:
    done = keys.run("create", "shop", "--expires=never")
    assert done.returncode == 2
    assert "argument --expires: write a whole number and s, m, h, d or w, such as 90d" in done.stderr
