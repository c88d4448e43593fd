from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.adapters.key_file import KeyFile, KeyFileError, KeyRefused, UnknownKey
from gateway.core.service_key import digest_of, id_in
from tests.fixtures.semantic import HandClock

CREATES_FIVE = """
import sys
from pathlib import Path
from gateway.adapters.clock import SystemClock
from gateway.adapters.key_file import KeyFile
for _ in range(5):
    print(KeyFile(Path(sys.argv[1]), SystemClock()).create("shop").key.id)
"""


@pytest.fixture
def keys(tmp_path: Path, hand_clock: HandClock) -> KeyFile:
    return KeyFile(tmp_path / "state" / "keys.json", hand_clock)


def test_a_file_that_is_not_there_holds_no_keys(keys: KeyFile) -> None:
    assert keys.read() == ()
    assert keys.stamp() is None


def test_a_created_key_is_read_back_without_its_secret(keys: KeyFile) -> None:
    minted = keys.create("shop", "ci", lifetime_s=60)
    (key,) = keys.read()
    assert key == minted.key
    assert (key.service, key.name, key.expires_s) == ("shop", "ci", key.created_s + 60)
    assert key.digest == digest_of(minted.secret)
    assert minted.secret.removeprefix(f"{key.prefix}-") not in keys.path.read_text()


def test_a_key_is_an_id_and_256_random_bits(keys: KeyFile) -> None:
    minted = keys.create("shop")
    assert id_in(minted.secret) == minted.key.id
    assert re.fullmatch(r"tg-[a-z0-9]{8}-[A-Za-z0-9_-]{43}", minted.secret)


def test_no_two_keys_are_alike(keys: KeyFile) -> None:
    minted = [keys.create("shop") for _ in range(20)]
    assert len({one.key.id for one in minted}) == len({one.secret[-43:] for one in minted}) == 20


def test_the_file_and_its_lock_are_their_owners_only(keys: KeyFile) -> None:
    keys.create("shop")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in keys.path.parent.iterdir()}
    assert modes == {"keys.json": 0o600, "keys.json.lock": 0o600}
    assert stat.S_IMODE(keys.path.parent.stat().st_mode) == 0o700


def test_a_file_made_readable_for_others_is_private_again_after_the_next_write(keys: KeyFile) -> None:
    keys.create("shop")
    keys.path.chmod(0o644)
    keys.create("shop")
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600


def test_the_file_is_replaced_whole(keys: KeyFile) -> None:
    keys.create("shop")
    with keys.path.open() as before:
        keys.create("shop")
        assert len(json.load(before)["keys"]) == 1  # who had it open reads the old one to its end
    assert len(keys.read()) == 2


def test_what_a_killed_writer_left_is_in_nobodys_way(keys: KeyFile) -> None:
    keys.create("shop")
    keys.path.with_name("keys.json.new").write_text("half a docu")
    keys.create("shop")
    assert len(keys.read()) == 2


def test_every_change_changes_the_stamp(keys: KeyFile) -> None:
    stamps = [keys.stamp()]
    minted = keys.create("shop")
    stamps.append(keys.stamp())
    keys.revoke(minted.key.id)
    stamps.append(keys.stamp())
    keys.path.chmod(0o400)
    stamps.append(keys.stamp())
    assert len(set(stamps)) == 4


def test_a_rotated_key_is_good_for_the_grace_and_its_successor_for_the_same_lifetime(
    keys: KeyFile, hand_clock: HandClock
) -> None:
    old = keys.create("shop", "ci", lifetime_s=1_000).key
    hand_clock.now_s += 500
    new = keys.rotate(old.id, grace_s=60).key
    kept = {key.id: key for key in keys.read()}
    assert kept[old.id].expires_s == old.created_s + 560
    assert (new.service, new.name) == ("shop", "ci")
    assert kept[new.id].expires_s == old.created_s + 1_500


def test_the_successor_of_a_key_without_an_end_has_none(keys: KeyFile) -> None:
    assert keys.rotate(keys.create("shop").key.id, grace_s=0).key.expires_s is None


def test_a_revoked_key_stays_in_the_file_and_is_over(keys: KeyFile, hand_clock: HandClock) -> None:
    minted = keys.create("shop")
    assert keys.revoke(minted.key.id).lapse(hand_clock.unix_s()) == "revoked"
    assert [key.lapse(hand_clock.unix_s()) for key in keys.read()] == ["revoked"]


def test_revoking_twice_changes_nothing(keys: KeyFile, hand_clock: HandClock) -> None:
    minted = keys.create("shop")
    first = keys.revoke(minted.key.id)
    hand_clock.now_s += 60
    assert keys.revoke(minted.key.id) == first


def test_a_key_that_is_over_cannot_be_rotated(keys: KeyFile, hand_clock: HandClock) -> None:
    revoked, expired = keys.create("shop").key, keys.create("shop", lifetime_s=10).key
    keys.revoke(revoked.id)
    hand_clock.now_s += 10
    with pytest.raises(KeyRefused, match="is revoked; create another for service `shop`"):
        keys.rotate(revoked.id, grace_s=60)
    with pytest.raises(KeyRefused, match="is expired"):
        keys.rotate(expired.id, grace_s=60)
    assert len(keys.read()) == 2


def test_an_unknown_key_is_told_with_what_to_do(keys: KeyFile) -> None:
    with pytest.raises(UnknownKey, match="thriftgate keys list"):
        keys.revoke("abcd1234")
    with pytest.raises(UnknownKey):
        keys.rotate("abcd1234", grace_s=0)


def test_no_key_is_lost_to_another_writer(keys: KeyFile) -> None:
    with ThreadPoolExecutor(8) as writers:
        made = [minted.key for minted in writers.map(lambda at: keys.create(f"service-{at}"), range(40))]
    assert sorted(key.id for key in keys.read()) == sorted(key.id for key in made)


def test_no_key_is_lost_to_another_process(keys: KeyFile) -> None:
    command = [sys.executable, "-c", CREATES_FIVE, str(keys.path)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    made = [id for writer in writers for id in writer.communicate(timeout=60)[0].split()]
    assert len(made) == 15
    assert sorted(key.id for key in keys.read()) == sorted(made)


GOOD = {
    "id": "abcd1234",
    "sha256": "0" * 64,
    "service": "shop",
    "name": "",
    "created": "2026-11-23T17:00:00Z",
    "expires": None,
    "revoked": None,
}


def test_a_file_written_by_hand_is_read(keys: KeyFile) -> None:
    keys.path.parent.mkdir()
    keys.path.write_text(json.dumps({"version": 1, "keys": [{**GOOD, "expires": "2026-11-24T19:00:00+02:00"}]}))
    (key,) = keys.read()
    assert (key.created_s, key.expires_s) == (1_795_453_200, 1_795_539_600)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "Invalid JSON"),
        (b"[]", "the document"),
        (b"\xff\xfe", "Invalid JSON"),
        (json.dumps({"version": 2, "keys": []}).encode(), "version"),
        (json.dumps({"version": 1, "keys": [{**GOOD, "id": "UPPER"}]}).encode(), "keys.0.id"),
        (json.dumps({"version": 1, "keys": [{**GOOD, "sha256": "secret-secret"}]}).encode(), "keys.0.sha256"),
        (json.dumps({"version": 1, "keys": [{**GOOD, "created": "2026-11-23T17:00:00"}]}).encode(), "keys.0.created"),
        (json.dumps({"version": 1, "keys": [{**GOOD, "scope": "all"}]}).encode(), "keys.0.scope"),
        (json.dumps({"version": 1, "keys": [GOOD, GOOD]}).encode(), "two keys have the same id"),
    ],
)
def test_a_damaged_file_is_told_with_its_place_and_nothing_of_it(keys: KeyFile, content: bytes, told: str) -> None:
    keys.path.parent.mkdir()
    keys.path.write_bytes(content)
    with pytest.raises(KeyFileError) as caught:
        keys.read()
    message = str(caught.value)
    assert str(keys.path) in message
    assert told in message
    assert "secret-secret" not in message
    assert "create new keys" in message


def test_a_damaged_file_is_never_written_over(keys: KeyFile) -> None:
    keys.path.parent.mkdir()
    keys.path.write_text("{")
    with pytest.raises(KeyFileError):
        keys.create("shop")
    assert keys.path.read_text() == "{"


def test_a_file_that_cannot_be_written_is_told_with_the_setting(tmp_path: Path, hand_clock: HandClock) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError, match=r"cannot be written: .*`keys_file`"):
        KeyFile(tmp_path / "file" / "keys.json", hand_clock).create("shop")
    with pytest.raises(KeyFileError, match="cannot be read: Is a directory"):
        KeyFile(tmp_path, hand_clock).read()


def test_a_write_that_fails_leaves_the_old_file(keys: KeyFile) -> None:
    keys.create("shop")
    keys.path.with_name("keys.json.new").mkdir()  # in the way of the writer's fresh file
    with pytest.raises(KeyFileError, match="cannot be written"):
        keys.create("shop")
    assert len(keys.read()) == 1
    assert not [
        name for name in os.listdir(keys.path.parent) if name not in ("keys.json", "keys.json.lock", "keys.json.new")
    ]
