"""What a running gateway takes over from a changed configuration, and what only a restart can change.

What is not listed as live is fixed, so a setting that nobody has thought of is refused and not silently ignored.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from gateway.household import children
from gateway.settings import Loaded
from gateway.yaml_source import KeyPath, Problem

LIVE: frozenset[KeyPath] = frozenset(
    {
        ("server", "max_body_bytes"),
        ("server", "admin_key"),
        ("server", "public_metrics"),
        ("providers",),  # but not those that are our own children
        ("models",),
        ("cache",),
        ("routing",),
        ("learning",),
        ("review",),
        ("groups",),
        ("services",),
        ("timeouts",),
        ("upstream", "attempts_per_model"),
        ("upstream", "hedge_after"),
    }
)
"""Sections and settings that every generation reads anew."""

_MEND = "restart the gateway, or take this change back"


def refused_changes(serving: Loaded, wanted: Loaded) -> tuple[Problem, ...]:
    """One problem for each setting that differs and is not live. No value is named: it may be a secret."""
    changed = [*_changed(serving.settings, wanted.settings, ()), *_changed_children(serving, wanted)]
    return tuple(
        Problem(wanted.source.where(path), f"`{'.'.join(map(str, path))}` changes only with a restart", _MEND)
        for path in changed
    )


def _changed(now: BaseModel, then: BaseModel, above: KeyPath) -> Iterator[KeyPath]:
    for name in type(now).model_fields:
        path = (*above, name)
        before, after = getattr(now, name), getattr(then, name)
        if path in LIVE or before == after:
            continue
        if isinstance(before, BaseModel) and isinstance(after, BaseModel):
            yield from _changed(before, after, path)
        else:
            yield path


def _changed_children(serving: Loaded, wanted: Loaded) -> Iterator[KeyPath]:
    """A local model is a process, which starts and stops with the gateway."""
    now, then = children(serving.settings), children(wanted.settings)
    for name in sorted(now.keys() | then.keys()):
        if now.get(name) != then.get(name):
            yield ("providers", name)
