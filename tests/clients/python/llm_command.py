"""The `llm` command: models are described in a file, and it streams unless told not to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from checking import BASE_URL, KEY, MODELS, on_each_model, play

folder = tempfile.TemporaryDirectory()
rows = [
    {
        "model_id": f"own/{model}",
        "model_name": model,
        "api_base": BASE_URL,
        "api_key_name": "gateway",
        "supports_schema": True,
    }
    for model in MODELS
]
Path(folder.name, "extra-openai-models.yaml").write_text(json.dumps(rows))
Path(folder.name, "keys.json").write_text(json.dumps({"gateway": KEY}))


def llm(*arguments: str) -> str:
    command = [str(Path(sys.executable).parent / "llm"), *arguments]
    environment = {**os.environ, "LLM_USER_PATH": folder.name}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


@on_each_model
def streamed(model: str) -> None:
    assert llm("-m", f"own/{model}", "Hello there") == "You said: Hello there"


@on_each_model
def whole(model: str) -> None:
    assert llm("-m", f"own/{model}", "--no-stream", "Hello there") == "You said: Hello there"


@on_each_model
def with_a_schema(model: str) -> None:
    answer = llm("-m", f"own/{model}", "--no-stream", "--schema", "city str", 'say: {"city": "Lyon"}')
    assert json.loads(answer) == {"city": "Lyon"}


play()
