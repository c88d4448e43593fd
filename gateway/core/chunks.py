"""OpenAI chunks and completions: plain dicts, taken apart and put together again."""

from __future__ import annotations

from typing import Any

Chunk = dict[str, Any]
Completion = dict[str, Any]
