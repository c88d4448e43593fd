"""Tiers labelled by hand, joined with the prompts they are about.

A row of labels is the SHA-256 of a prompt's UTF-8 bytes, a tab, and its tier; the prompts stay with their data sets.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.core.tiers import Tier


@dataclass(frozen=True, slots=True)
class TierExample:
    """`source` is the data set that the prompt was found in first."""

    prompt: str
    tier: Tier
    source: str = ""


def labelled(labels: Path, prompts: Path) -> list[TierExample]:
    """Every prompt in a folder of data sets that a folder of labels knows. Raises ValueError for a row that is none."""
    return joined(truth_of([read_labels(path) for path in sorted(labels.glob("*.tsv"))]), prompts_in(prompts))


def read_labels(path: Path) -> dict[str, Tier]:
    """By the prompt's SHA-256. Raises ValueError, with the line, for a row that is none."""
    labels = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        digest, _, tier = line.partition("\t")
        if line and not line.startswith(("#", "sha256")):
            try:
                labels[digest] = Tier(tier.split("\t")[0].strip())
            except ValueError as error:
                raise ValueError(f"{path}:{number}: expected sha256, a tab and light, medium or heavy") from error
    return labels


def truth_of(annotators: Sequence[Mapping[str, Tier]]) -> dict[str, Tier]:
    """The highest tier that any annotator gave."""
    digests = sorted({digest for labels in annotators for digest in labels})
    return {
        digest: max((labels[digest] for labels in annotators if digest in labels), key=lambda tier: tier.rank)
        for digest in digests
    }


def joined(truth: Mapping[str, Tier], prompts: Iterable[tuple[str, str]]) -> list[TierExample]:
    """The labelled prompts that are here, once each, in the order of their hashes. `prompts` come with their source."""
    found: dict[str, TierExample] = {}
    for prompt, source in prompts:
        digest = hashlib.sha256(prompt.encode()).hexdigest()
        if digest in truth and digest not in found:
            found[digest] = TierExample(prompt, truth[digest], source)
    return [found[digest] for digest in sorted(found)]


def prompts_in(folder: Path) -> Iterator[tuple[str, str]]:
    """Prompts and their sources; of the weakly labelled file, whose rows name templates, the template's first part."""
    for path in sorted(folder.glob("*.dev.jsonl")):
        with path.open(encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                yield row["prompt"], str(row.get("source") or row.get("src") or path.name).partition(":")[0]
