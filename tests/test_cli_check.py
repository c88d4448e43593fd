"""What `thriftgate check` says of prices."""

from __future__ import annotations

from pathlib import Path

import pytest
from genai_prices import __version__

from gateway import cli

CONFIGURATION = """\
providers:
  work: {kind: anthropic, api_key: os.environ/A_KEY_NOBODY_HAS_SET}
  gpu: {kind: llamacpp, base_url: "http://127.0.0.1:9/v1"}
embedder: {engine: none}
models:
  claude-opus-5-5: {provider: work, tier: heavy}
  ours:
    provider: gpu
    tier: light
    price: {gpu_hour_usd: 2.0, prompt_tokens_per_s: 2000, output_tokens_per_s: 50}
  theirs:
    provider: gpu
    tier: light
    price:
      - {from: 2020-01-01, input: 1, output: 2, source: a page, checked: 2026-11-23}
      - {from: 2999-01-01, input: 3, output: 4, source: a page, checked: 2026-11-23}
"""


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ("", "one process answers"),
        ("server: {workers: 4}\n", "4 processes answer, each with 16 MiB of cached answers and an embedder of its own"),
    ],
)
def test_how_many_processes_answer_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], server: str, told: str
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(server + CONFIGURATION)
    assert cli.main(["check", "--config", str(file)]) == cli.OK
    assert capsys.readouterr().out.splitlines()[-1] == told


def test_each_price_in_force_is_said_with_its_source_and_what_is_to_come(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(CONFIGURATION)
    assert cli.main(["check", "--config", str(file)]) == cli.OK
    told = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("        ")]
    listed = "$4.00 in, $20.00 out, $0.20 cached, $5.00 written, $8.00 written for an hour"
    assert told[0] == f"{listed} (genai-prices {__version__})"
    assert told[-3:] == [
        f"$0.277778 in, $11.111111 out, $0.00 cached ({file}:10, by the GPU hour)",
        f"$1.00 in, $2.00 out ({file}:15: a page, 2026-11-23)",
        "from 2999-01-01: $3.00 in, $4.00 out",
    ]
