"""What every Python program here shares: where the gateway is, one line a check, and the exit code.

The programs run in their client's own virtualenv, so they import nothing of the gateway.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

E = TypeVar("E", bound=Exception)

CLIENT = os.environ["CLIENT"]
URL = os.environ["GATEWAY_URL"]
BASE_URL = f"{URL}/v1"
KEY = os.environ["GATEWAY_KEY"]
ADMIN_KEY = os.environ["GATEWAY_ADMIN_KEY"]
MODELS = os.environ["MODELS"].split(",")
ERRORS_SHOWN = 160

_checks: list[tuple[str, Callable[[], Any]]] = []


def check(function: Callable[[], Any]) -> Callable[[], Any]:
    """The function's name is the check's; an exception is its failure."""
    _checks.append((_words(function), function))
    return function


def on_each_model(function: Callable[[str], Any]) -> Callable[[str], Any]:
    """One check for each of the four providers."""
    for model in MODELS:
        _checks.append((f"{_words(function)} [{model}]", lambda model=model: function(model)))
    return function


def raises(kind: type[E], action: Callable[[], object]) -> E:
    """The exception that `action` raises, which must be of this kind."""
    try:
        action()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def play(client: str = CLIENT) -> None:
    """Run them all, tell each, and exit."""
    failed = sum(not _passes(client, name, function) for name, function in _checks)
    sys.exit(1 if failed or not _checks else 0)


def _passes(client: str, name: str, function: Callable[[], Any]) -> bool:
    try:
        function()
    except Exception as error:
        print(f"{client:<14} {name:<58} FAILED  {type(error).__name__}: {error}"[:ERRORS_SHOWN], flush=True)
        traceback.print_exc()
        return False
    print(f"{client:<14} {name:<58} ok", flush=True)
    return True


def _words(function: Callable[..., Any]) -> str:
    return function.__name__.replace("_", " ")
