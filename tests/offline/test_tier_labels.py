"""Labels by hand and the prompts they are about."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from gateway.core.tiers import Tier
from gateway.offline.tier_labels import joined, labelled, read_labels, truth_of


def digest(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()


def test_of_several_labels_the_highest_is_the_truth() -> None:
    assert truth_of([{"a": Tier.LIGHT, "b": Tier.HEAVY}, {"a": Tier.MEDIUM}]) == {"a": Tier.MEDIUM, "b": Tier.HEAVY}


def test_a_row_that_is_no_label_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("ab\tlight\ncd\tgreat\n")
    with pytest.raises(ValueError, match=r"x\.tsv:2: expected"):
        read_labels(tmp_path / "x.tsv")


def test_labels_find_their_prompts_by_hash_once_each() -> None:
    prompts = [(f"prompt {number}", "set") for number in range(50)]
    truth = {digest(prompt): Tier.LIGHT for prompt, _ in prompts[:40]}
    assert {example.prompt for example in joined(truth, [*prompts, *prompts])} == {prompt for prompt, _ in prompts[:40]}
    assert len(joined(truth, [*prompts, *prompts])) == 40


def test_folders_of_labels_and_of_data_sets_come_together(tmp_path: Path) -> None:
    (tmp_path / "me.tsv").write_text(f"{digest('hello')}\tlight\n{digest('elsewhere')}\theavy\n")
    (tmp_path / "some.dev.jsonl").write_text(json.dumps({"prompt": "hello", "src": "T0:greetings"}) + "\n")
    (found,) = labelled(tmp_path, tmp_path)
    assert (found.prompt, found.tier, found.source) == ("hello", Tier.LIGHT, "T0")
