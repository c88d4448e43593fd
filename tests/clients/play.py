"""Starts the stage and plays the programs of the clients named on the command line, one after the other.

A program prints one line a check and ends with 1 when one failed; so does this.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.clients.stage import ADMIN_KEY, KEY, MODELS, stage

HERE = Path(__file__).parent
VENVS = HERE.parent.parent / ".clients"
PROGRAMS = {
    "openai-2": ("openai_sdk.py",),
    "openai-3": ("openai_sdk.py",),
    "anthropic": ("anthropic_sdk.py",),
    "langchain": ("langchain_chat.py",),
    "llama-index": ("llama_index_chat.py",),
    "instructor": ("instructor_models.py",),
    "pydantic-ai": ("pydantic_ai_agent.py",),
    "llm": ("llm_command.py",),
    "openai-suite": ("openai_own_suite.py",),
    "schemathesis": ("openapi_document.py",),
    "node": ("openai.mjs", "vercel.mjs", "anthropic.mjs"),
}


async def play(url: str, client: str, program: str) -> bool:
    """Whether every check passed. Nothing of the caller's configuration for these clients is handed on."""
    passed_on = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    keys = {"GATEWAY_KEY": KEY, "GATEWAY_ADMIN_KEY": ADMIN_KEY}
    environment = {**passed_on, **keys, "CLIENT": client, "GATEWAY_URL": url, "MODELS": ",".join(MODELS)}
    if client == "node":
        command = ["node", str(HERE / "node" / program)]
    else:
        command = [str(VENVS / client / "bin" / "python"), str(HERE / "python" / program)]
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    return await process.wait() == 0


async def main(clients: list[str]) -> int:
    async with stage() as url:
        passed = [await play(url, client, program) for client in clients for program in PROGRAMS[client]]
    print(f"{passed.count(True)} of {len(passed)} client programs passed")
    return 0 if passed and all(passed) else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main(sys.argv[1:])))
