from __future__ import annotations

from gateway.adapters.settlement_backlog import Settlement, SettlementBacklog
from gateway.core.budget import NOTHING, Amount
from gateway.ports import Hold


def hold(id: str) -> Hold:
    return Hold(id, "search", "search", NOTHING, 0, 0.0, meters=("search/month:2026-11",))


def settlement(id: str, tokens: int = 1) -> Settlement:
    return Settlement(hold(id), Amount(tokens))


def test_a_settlement_waits_until_it_was_written() -> None:
    backlog = SettlementBacklog(10)
    backlog.add(settlement("a"))
    assert backlog.waiting() == backlog.waiting() == [settlement("a")]
    backlog.written(settlement("a"))
    assert not backlog.waiting()


def test_the_first_settlement_of_an_id_is_the_one_that_counts() -> None:
    backlog = SettlementBacklog(10)
    backlog.add(settlement("a", tokens=1))
    backlog.add(settlement("a", tokens=2))
    assert backlog.waiting() == [settlement("a", tokens=1)]


def test_when_too_many_wait_the_oldest_is_given_up_and_counted() -> None:
    backlog = SettlementBacklog(2)
    for id in "abc":
        backlog.add(settlement(id))
    assert [waiting.hold.id for waiting in backlog.waiting()] == ["b", "c"]
    assert backlog.given_up == 1


def test_a_postponed_settlement_lets_the_others_go_first() -> None:
    backlog = SettlementBacklog(10)
    for id in "ab":
        backlog.add(settlement(id))
    backlog.postpone(settlement("a"))
    assert [waiting.hold.id for waiting in backlog.waiting()] == ["b", "a"]


def test_spend_without_a_budget_waits_as_one_sum() -> None:
    backlog = SettlementBacklog(1)
    for _ in range(100):
        backlog.count(hold("any"), Amount(2, 3))
    assert len(backlog) == 1
    assert [batch.actual for batch in backlog.waiting()] == [Amount(200, 300)]


def test_a_batch_that_may_have_been_written_is_repeated_word_for_word() -> None:
    backlog = SettlementBacklog(1)
    backlog.count(hold("any"), Amount(2))
    (batch,) = backlog.waiting()
    backlog.count(hold("any"), Amount(3))
    assert backlog.waiting() == [batch]
    backlog.written(batch)
    assert [later.actual for later in backlog.waiting()] == [Amount(3)]


def test_giving_up_never_touches_spend_that_no_lease_stands_behind() -> None:
    backlog = SettlementBacklog(1)
    backlog.count(hold("any"), Amount(2))
    backlog.waiting()
    for id in "ab":
        backlog.add(settlement(id))
    assert [(waiting.counts, waiting.actual.tokens) for waiting in backlog.waiting()] == [(True, 2), (False, 1)]


def test_a_batch_is_told_before_it_can_be_written_and_only_once() -> None:
    backlog = SettlementBacklog(1)
    told: list[tuple[str, Amount]] = []
    backlog.before_batches(lambda batch, actual: told.append((batch.id, actual)))
    backlog.count(hold("any"), Amount(2))
    (batch,) = backlog.waiting()
    assert backlog.waiting() == [batch]
    assert told == [(batch.hold.id, Amount(2))]


def test_a_batch_of_another_process_is_written_beside_ones_own() -> None:
    backlog = SettlementBacklog(1)
    others = Settlement(hold("others"), Amount(5), counts=True)
    backlog.add(others)
    backlog.count(hold("any"), Amount(2))
    assert [batch.actual for batch in backlog.waiting()] == [Amount(5), Amount(2)]
    for batch in backlog.waiting():
        backlog.written(batch)
    assert not backlog.waiting()


def test_it_is_behind_while_something_to_be_written_waits() -> None:
    backlog = SettlementBacklog(1)
    backlog.count(hold("any"), Amount(2))
    assert not backlog.is_behind, "spend that is only being added up"
    (batch,) = backlog.waiting()
    assert backlog.is_behind
    backlog.written(batch)
    assert not backlog.is_behind
