"""The part of openai-python's own test suite that a gateway can be held to: their files, unchanged, at our URL.

The suite was written against a mock that accepts anything. Left out, with the reason:
- `with_all_params` of chat: one request with everything at once, which OpenAI itself refuses (both output limits, and
  zero; `stream_options` without `stream`; audio settings without the audio modality).
- stored completions (retrieve, update, list, delete) and deleting a model: nothing is stored here.
- the strict variants of embeddings without `encoding_format`: the SDK asks for base64 by itself, and its strict mode
  then wants numbers; their mock sends numbers whatever was asked. The loose variants decode our base64.
- files but their list: none are kept here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from checking import BASE_URL, check, play

VENV = Path(sys.executable).parent.parent
unpacked = tempfile.TemporaryDirectory()


def suite(file: str, chosen: str) -> None:
    """Their `-n auto` needs a plugin that we do not."""
    options = ["-q", "--override-ini", "addopts=", "-p", "no:cacheprovider", "-k", chosen]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"tests/api_resources/{file}"],
        cwd=next(Path(unpacked.name).iterdir()),
        env={**os.environ, "TEST_API_BASE_URL": BASE_URL},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-1_000:]
    print(f"{'openai-suite':<14} {file}: {done.stdout.splitlines()[-1].strip('= ')}")


@check
def its_own_tests_of_chat_completions() -> None:
    suite("chat/test_completions.py", "overload and not all_params")


@check
def its_own_tests_of_embeddings() -> None:
    suite("test_embeddings.py", "loose or all_params")


@check
def its_own_tests_of_models() -> None:
    suite("test_models.py", "not delete")


@check
def its_own_tests_of_the_list_of_files() -> None:
    suite("test_files.py", "list")


with tarfile.open(next(VENV.glob("openai-*.tar.gz"))) as source:
    source.extractall(unpacked.name)
play()
