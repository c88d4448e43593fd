"""YAML files that remember where each value was written, so that an error can point at file and line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

KeyPath = tuple[str | int, ...]
Places = dict[KeyPath, str]
_DEEPEST = 32
_FASTEST: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
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
    places: Places = {}
    unset: dict[KeyPath, str] = {}
    _merge(path, document, places, seen=())
    return Source(_with_secrets(document, (), environ, unset), places, unset)


def _merge(path: Path, document: dict[str, Any], places: Places, seen: tuple[Path, ...]) -> None:
    """Top-level sections of included files come first; the including file wins, section by section, key by key. A key
    it writes as null is taken away: what an included file offers and this machine lacks."""
    node = _compose(path)
    found: Places = {}
    own = _value(node, (), path, found)
    if not isinstance(own, dict):
        raise ConfigError(
            Problem(f"{path}:1", "must be a mapping of settings", "begin with a section, such as `server:`")
        )
    for file in _included(own.pop("include", None), path, found.get(("include",), "")):
        if file in (*seen, path):
            raise ConfigError(Problem(found["include",], f"{file} includes itself", "remove the circle of `include:`"))
        _merge(file, document, places, (*seen, path))
    for section, value in own.items():
        held = document.get(section)
        if isinstance(held, dict) and isinstance(value, dict):
            _forget(places, *((section, key) for key in value))
            document[section] = {key: kept for key, kept in {**held, **value}.items() if kept is not None}
        else:
            _forget(places, (section,))
            document[section] = value
    places.update(found)


def _included(value: Any, path: Path, where: str) -> list[Path]:
    """The files that `include:` names, which must be there; relative to the including file."""
    names = [value] if isinstance(value, str) else value or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(Problem(where, "`include` must be a file name or a list of them", "include: [models.yaml]"))
    files = [path.parent / name for name in names]
    missing = [
        Problem(where, f"`include`: there is no file {file}", "correct it") for file in files if not file.is_file()
    ]
    if missing:
        raise ConfigError(*missing)
    return files


def _forget(places: Places, *replaced: KeyPath) -> None:
    """What another file now replaces is no longer where it was written."""
    for path in [path for path in places for gone in replaced if path[: len(gone)] == gone]:
        del places[path]


def _compose(path: Path) -> yaml.Node | None:
    try:
        return _composed(path.read_text(encoding="utf-8"))
    except OSError as error:
        problem = Problem(str(path), f"cannot be read: {error.strerror}", "name another file with --config")
        raise ConfigError(problem) from error
    except UnicodeDecodeError as error:
        raise ConfigError(Problem(str(path), "is not text in UTF-8", "save it as UTF-8")) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = Problem(f"{path}:{line}", f"is not valid YAML: {_unquoted(error.problem)}", _QUOTE)
        raise ConfigError(problem) from None  # its own message quotes the line, in which there may be a secret
    except yaml.YAMLError:
        raise ConfigError(Problem(str(path), "has a character that YAML does not allow", "remove it")) from None


def _composed(text: str) -> yaml.Node | None:
    """By libyaml, where PyYAML has it: the shipped files take 19 ms instead of 80 (a busy machine, 2026-11-23). What it
    does not take, PyYAML's own parser may, and its words of what is wrong are the ones that are told."""
    try:
        return yaml.compose(text, Loader=_FASTEST)
    except yaml.YAMLError:
        return yaml.compose(text, Loader=yaml.SafeLoader)


_QUOTE = "check brackets and indentation, and put values that begin with * & ! @ or % in quotes"


def _unquoted(problem: str | None) -> str:
    """What YAML says of itself, without what it quotes from the file: that may be a secret."""
    return re.sub(r"'[^'<][^']+'", "…", problem or "")


def _value(node: yaml.Node | None, path: KeyPath, file: Path, places: Places) -> Any:
    if node is not None and len(path) > _DEEPEST:
        raise ConfigError(Problem(_line(node, file), "is nested too deeply", "remove the anchor that contains itself"))
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _key(key_node, file)
            if key in result:
                raise ConfigError(Problem(_line(key_node, file), f"`{key}` is written twice", "keep one of the two"))
            places[*path, key] = _line(key_node, file)
            result[key] = _value(value_node, (*path, key), file, places)
        return result
    if isinstance(node, yaml.SequenceNode):
        for at, item in enumerate(node.value):
            places[*path, at] = _line(item, file)
        return [_value(item, (*path, at), file, places) for at, item in enumerate(node.value)]
    return None if node is None else _scalar(node, file)


def _line(node: yaml.Node, file: Path) -> str:
    return f"{file}:{node.start_mark.line + 1}"


def _key(node: yaml.Node, file: Path) -> str:
    """As it is written: a model may be called `4` or `on`."""
    if not isinstance(node, yaml.ScalarNode):
        raise ConfigError(Problem(_line(node, file), "a key must be plain text", "remove the brackets"))
    return str(node.value)


def _scalar(node: yaml.Node, file: Path) -> Any:
    try:
        return SafeConstructor().construct_object(node)
    except (yaml.YAMLError, ValueError):
        problem = Problem(
            _line(node, file), "has a value that cannot be read: an unknown tag or an impossible date", _QUOTE
        )
        raise ConfigError(problem) from None


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
