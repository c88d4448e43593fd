"""docker/Dockerfile as its stages and instructions, as far as the tests ask."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "docker/Dockerfile"
ETC = "/etc/thriftgate"


@dataclass(frozen=True, slots=True)
class Stage:
    """`instructions` are keyword and the rest, continued lines joined."""

    name: str
    parent: str
    instructions: tuple[tuple[str, str], ...]

    def of(self, keyword: str) -> list[str]:
        return [rest for found, rest in self.instructions if found == keyword]

    def words(self, keyword: str) -> list[str]:
        """Of the last instruction of its kind in the form of a JSON list."""
        words: list[str] = json.loads(self.of(keyword)[-1].partition("CMD ")[2] or self.of(keyword)[-1])
        return words

    def copied(self) -> Iterator[tuple[list[str], str]]:
        """From the project's folder: sources and destination."""
        for rest in self.of("COPY"):
            if "--from=" not in rest:
                *sources, destination = rest.split()
                yield sources, destination


def stages() -> dict[str, Stage]:
    lines = [line for line in FILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    written = [line.partition(" ")[::2] for line in joined.splitlines() if line]
    found: dict[str, Stage] = {}
    for at, (keyword, rest) in enumerate(written):
        if keyword == "FROM":
            parent, _, name = rest.split()
            end = next((other for other in range(at + 1, len(written)) if written[other][0] == "FROM"), len(written))
            found[name] = Stage(name, parent, tuple(written[at + 1 : end]))
    return found


def lay_out_etc(target: str, folder: Path) -> Path:
    """The image's /etc/thriftgate, as its stages copy it."""
    for stage in (stages()["runtime"], stages()[target]):
        for sources, destination in stage.copied():
            assert destination.startswith(ETC)
            for source in sources:
                _copy(ROOT / source, folder / destination.removeprefix(ETC).strip("/"))
    return folder


def _copy(source: Path, destination: Path) -> None:
    """As COPY does: of a folder its contents."""
    if source.is_dir():
        shutil.copytree(source, destination, dirs_exist_ok=True)
    else:
        shutil.copy(source, destination)
