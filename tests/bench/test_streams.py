from __future__ import annotations

from tests.bench.streams import Memory, line


def test_what_streams_took_is_the_highest_less_what_was_there_before() -> None:
    assert line("nginx", Memory(5, 22.4, 22.2, 1_000)) == "| nginx | 5 | 22 | 17 | 22 | 1000 |  |"


def test_only_ours_has_a_goal() -> None:
    assert line("Thriftgate", Memory(80, 180, 170, 1_000)).endswith("| at most 150, aim 100: held |")
    assert line("Thriftgate", Memory(80, 280, 170, 1_000)).endswith("| at most 150, aim 100: missed |")
