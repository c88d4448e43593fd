"""schemathesis over the gateway's own /openapi.json: no 5xx, no undocumented status,
content type or shape. Bounded and seeded: what it finds, it finds again."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from checking import ADMIN_KEY, KEY, URL, check, play

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EXAMPLES = "25"


def schemathesis(*arguments: str) -> None:
    command = [str(Path(sys.executable).parent / "st"), "run", f"{URL}/openapi.json", "--no-color", "--seed", "1"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "steered_bodies", "PYTHONPATH": str(Path(__file__).parent)}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout[-5_000:]


@check
def every_answer_is_one_the_document_describes() -> None:
    schemathesis(
        "--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-examples", EXAMPLES, "--continue-on-failure",
        "--header", f"Authorization: Bearer {KEY}",
    )  # fmt: skip


@check
def without_a_key_nothing_breaks_either() -> None:
    stranger = "Authorization: Bearer sk-wrong"
    schemathesis("--checks", CHECKS, "--phases", "fuzzing", "--max-examples", "5", "--header", stranger)


@check
def the_operators_routes_answer_the_operator_as_described() -> None:
    operator = ("--header", f"Authorization: Bearer {ADMIN_KEY}", "--include-path-regex", "^/v1/thriftgate/")
    schemathesis("--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-examples", EXAMPLES, *operator)


play()
