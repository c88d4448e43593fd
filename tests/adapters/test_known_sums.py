from __future__ import annotations

from gateway.adapters.known_sums import KnownSums
from gateway.adapters.ledger_script import Reply
from gateway.core.budget import Amount, Budget
from gateway.core.window import WindowRule

DAY = Budget("search", WindowRule("day"), tokens=100)
NOON_S = 1_795_003_200
METERS = (DAY.meter(NOON_S),)


def reply(tokens: int, at_s: float = NOON_S, epoch: str = "first") -> Reply:
    return Reply("standing", int(at_s * 1000), epoch, (tokens, 0))


def known_before(known: KnownSums, epoch: str = "", at_s: float = NOON_S) -> dict[Budget, Amount]:
    return known.before("search", epoch, at_s)


def heard(*replies: Reply) -> KnownSums:
    known = KnownSums()
    for each in replies:
        known.hear("search", (DAY,), METERS, each, 0)
    return known


def test_the_first_epoch_heard_of_is_the_present_one() -> None:
    assert heard(reply(5)).epoch("search") == "first"
    assert heard(reply(5)).epoch("support") == ""


def test_what_was_heard_last_is_known_to_who_has_lost_it() -> None:
    known = heard(reply(5), reply(3, NOON_S + 1))
    assert known_before(known) == known_before(known, "second") == {DAY: Amount(3)}


def test_what_the_present_memory_said_is_not_told_to_it() -> None:
    assert known_before(heard(reply(5)), "first") == {}


def test_a_reply_that_was_overtaken_changes_nothing() -> None:
    assert known_before(heard(reply(5, NOON_S + 1), reply(3))) == {DAY: Amount(5)}


def test_a_reply_out_of_another_memory_changes_nothing() -> None:
    assert known_before(heard(reply(5), reply(0, NOON_S + 1, epoch=""), reply(1, NOON_S + 1, "second"))) == {
        DAY: Amount(5)
    }


def test_after_a_new_epoch_has_begun_its_own_sums_replace_the_old() -> None:
    known = heard(reply(5))
    known.begin("search", "second", [DAY])
    assert (known.epoch("search"), known.told("search", [DAY])) == ("second", [1])
    known.hear("search", (DAY,), METERS, reply(7, NOON_S + 1, "second"), 0)
    assert known_before(known, "second") == {}
    assert known_before(known, "third") == {DAY: Amount(7)}


def test_a_window_that_is_over_is_forgotten_and_one_that_was_over_is_never_known() -> None:
    assert known_before(heard(reply(5)), at_s=NOON_S + 86_400) == {}
    assert known_before(heard(reply(5, NOON_S + 86_400)), at_s=NOON_S + 86_400) == {}
