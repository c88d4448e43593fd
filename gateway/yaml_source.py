"""YAML files that remember where each value was written, so that an error can point at file and line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

KeyPath = tuple[str | int, ...]
SECRET = "os.environ/"  # noqa: S105  # the prefix LiteLLM's users know, not a secret


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in the configuration: where, what, and how to mend it."""

    where: str
    message: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" + (f"\n    → {self.mend}" if self.mend else "")


class ConfigError(Exception):
    """The configuration cannot be used; `problems` says everything that is wrong, not only the first thing."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Source:
    """The merged document and the place of every key in it."""

    document: dict[str, Any]
    places: Mapping[KeyPath, str]
    unset: Mapping[KeyPath, str] = field(default_factory=dict)
    """Secrets whose environment variable is not set: path → variable. Their value in the document is None."""

    def where(self, path: KeyPath) -> str:
        """`file:line` of a key, or of the nearest enclosing key that was written."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, "configuration")


def read(path: Path, environ: Mapping[str, str] = os.environ) -> Source:
    """Read a file and what it includes. Raises ConfigError for what is not readable YAML."""
    document: dict[str, Any] = {}
    places: dict[KeyPath, str] = {}
    unset: dict[KeyPath, str] = {}
    _merge(path, document, places, seen=())
    return Source(_with_secrets(document, (), environ, unset), places, unset)


def _merge(path: Path, document: dict[str, Any], places: dict[KeyPath, str], seen: tuple[Path, ...]) -> None:
    """Top-level sections of included files come first; the including file wins, section by section, key by key."""
    if path in seen:
        raise ConfigError(Problem(str(path), "includes itself", "remove the circle of `include:`"))
    node = _compose(path)
    found: dict[KeyPath, str] = {}
    own = _value(node, (), path, found)
    if not isinstance(own, dict):
        raise ConfigError(Problem(f"{path}:1", "must be a mapping of settings, such as `server:`"))
    includes = own.pop("include", [])
    for name in [includes] if isinstance(includes, str) else includes:
        _merge(path.parent / name, document, places, (*seen, path))
    for section, value in own.items():
        held = document.get(section)
        document[section] = {**held, **value} if isinstance(held, dict) and isinstance(value, dict) else value
    places.update(found)


def _compose(path: Path) -> yaml.Node | None:
    try:
        return yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        problem = Problem(str(path), f"cannot be read: {error.strerror}", "name another file with --config")
        raise ConfigError(problem) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(Problem(f"{path}:{line}", f"is not valid YAML: {error.problem}")) from error


def _value(node: yaml.Node | None, path: KeyPath, file: Path, places: dict[KeyPath, str]) -> Any:
    if isinstance(node, yaml.MappingNode):
        result: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = _scalar(key_node)
            if key in result:
                raise ConfigError(Problem(f"{file}:{key_node.start_mark.line + 1}", f"`{key}` is written twice"))
            places[*path, key] = f"{file}:{key_node.start_mark.line + 1}"
            result[key] = _value(value_node, (*path, key), file, places)
        return result
    if isinstance(node, yaml.SequenceNode):
        for at, item in enumerate(node.value):
            places[*path, at] = f"{file}:{item.start_mark.line + 1}"
        return [_value(item, (*path, at), file, places) for at, item in enumerate(node.value)]
    return None if node is None else _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    finally:
        loader.dispose()


def _with_secrets(value: Any, path: KeyPath, environ: Mapping[str, str], unset: dict[KeyPath, str]) -> Any:
    """Replace `os.environ/NAME`; an unset or empty variable becomes None and is remembered."""
    if isinstance(value, dict):
        return {key: _with_secrets(item, (*path, key), environ, unset) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_secrets(item, (*path, at), environ, unset) for at, item in enumerate(value)]
    if isinstance(value, str) and value.startswith(SECRET):
        name = value.removeprefix(SECRET)
        if not environ.get(name):
            unset[path] = name
            return None
        return environ[name]
    return value
