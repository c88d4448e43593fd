"""The house's rules, held by tests: sizes, names, floors, the error tree, and documents that match the code."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from gateway import model_settings, service_settings, settings
from gateway.adapters.prometheus import PrometheusMetrics
from gateway.core import errors

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for folder in ("gateway", "tests", "deploy") for path in ROOT.glob(f"{folder}/**/*.py"))
MAX_LINES, MAX_FUNCTION_LINES = 400, 40
DOCUMENTED_ONCE: dict[type[BaseModel], str] = {service_settings.BudgetSettings: "<budget>."}
"""Sections that stand in several places and have a table of their own."""
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc", "data", "info"}


def names_of(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_no_file_passes_400_lines() -> None:
    assert names_of([path for path in SOURCES if len(path.read_text().splitlines()) > MAX_LINES]) == []


def test_no_function_passes_40_lines() -> None:
    assert [found for path in SOURCES for found in long_functions(path)] == []


def long_functions(path: Path) -> Iterator[str]:
    """Lines of code, its docstring not counted: prose is wanted."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            length = (node.end_lineno or 0) - first.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {length} lines"


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert names_of([path for path in SOURCES if path.stem in VAGUE]) == []


def test_every_module_says_what_it_is_for() -> None:
    modules = [path for path in SOURCES if not path.name.startswith(("__init__", "test_"))]
    assert names_of([path for path in modules if not ast.get_docstring(ast.parse(path.read_text()))]) == []


def test_nothing_is_left_to_do_later() -> None:
    marks = re.compile(r"#.*\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError|pytest\.skip\(\)")
    assert names_of([path for path in SOURCES if path != Path(__file__) and marks.search(path.read_text())]) == []


def test_every_exception_to_a_tool_carries_its_code_and_its_reason() -> None:
    bare = re.compile(r"#\s*(?:type:\s*ignore|noqa)(?!.{0,30}[\[:]\s*\S+.*(?:#|-)\s*\w)")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if bare.search(line)
    ]
    assert found == []


def test_the_drawn_error_tree_is_the_real_one() -> None:
    assert errors.__doc__ is not None
    drawn = re.findall(r"^[│├└─ ]*([A-Z]\w+)(?: +(\d{3}) (\w+))?$", errors.__doc__, re.MULTILINE)
    real = list(tree(errors.ThriftgateError))
    assert [row for row in drawn if row[0] != "ThriftgateError"] == real[1:]


def tree(root: type[errors.ThriftgateError]) -> Iterator[tuple[str, str, str]]:
    yield root.__name__, str(root.status), root.code or root.type
    for child in root.__subclasses__():
        yield from tree(child)


def test_the_drawing_nests_as_the_classes_do() -> None:
    assert errors.__doc__ is not None
    depths = {name: len(indent) for indent, name in re.findall(r"^([│├└─ ]*)([A-Z]\w+)", errors.__doc__, re.MULTILINE)}
    for child in subclasses(errors.ThriftgateError):
        assert depths[child.__name__] - depths[child.__bases__[0].__name__] == 4, child


def subclasses(root: type[errors.ThriftgateError]) -> Iterator[type[errors.ThriftgateError]]:
    for child in root.__subclasses__():
        yield child
        yield from subclasses(child)


def test_every_setting_is_documented_and_nothing_else_is() -> None:
    documented = set(re.findall(r"^\| `([\w.<>\[\]]+)` \|", (ROOT / "config/README.md").read_text(), re.MULTILINE))
    assert documented == set(setting_paths(settings.Settings, ""))


def setting_paths(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """`providers.<name>.kind`, `services[].budget.usd`: one path a leaf. Rates in parts of a price are its own."""
    rates = model_settings.RatesUsd.model_fields if ".price." in prefix and not prefix.endswith(".price.") else {}
    fields = ((field.alias or name, field) for name, field in model.model_fields.items() if name not in rates)
    for name, field in fields:
        annotation = str(field.annotation)
        inner = [
            value
            for module in (settings, model_settings, service_settings)
            for value in vars(module).values()
            if inspect.isclass(value) and issubclass(value, BaseModel) and f"settings.{value.__name__}" in annotation
        ] or (
            [field.annotation] if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel) else []
        )
        listed = annotation.startswith(("list[gateway", "tuple[gateway"))
        mark = ".<name>" if annotation.startswith("dict") else "[]" if listed else ""
        if inner and ("Literal" in annotation or prefix.endswith(".price.")):
            yield f"{prefix}{name}{mark}"
        if inner:
            for section in inner:
                if section in DOCUMENTED_ONCE:
                    yield f"{prefix}{name}{mark}"
                yield from setting_paths(section, DOCUMENTED_ONCE.get(section, f"{prefix}{name}{mark}."))
        else:
            yield f"{prefix}{name}"


def test_every_make_target_is_described() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[0].split()
    assert set(phony) == set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))


def test_every_dependency_says_why_it_is_here() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    block = text.split("dependencies = [", 1)[1].split("\n]", 1)[0]
    assert all("#" in line for line in block.splitlines() if line.strip().startswith('"'))


def test_every_dependency_is_locked_by_hash() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    locked = (ROOT / "deploy/locks/run.txt").read_text().lower()
    names = [re.split(r"[=<>\[]", spec)[0].lower() for spec in wanted]
    assert [name for name in names if f"\n{name}==" not in locked] == []
    assert all("--hash=sha256:" in block for block in re.split(r"\n(?=\S+==)", locked)[1:])


def test_metric_names_in_the_readme_exist() -> None:
    metrics = PrometheusMetrics(["s"], ["p"], ["m"])
    exported = {metric.name for metric in metrics.registry.collect()}
    named = set(re.findall(r"`(thriftgate_\w+?)(?:_total)?(?:\{.*?\})?`", (ROOT / "README.md").read_text()))
    assert named
    assert named <= exported


def test_importing_the_gateway_opens_no_connection() -> None:
    """`sys.addaudithook` in a fresh interpreter: any socket connection or name look-up at import fails."""
    program = (
        "import sys\n"
        "def hook(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'subprocess.Popen'): raise SystemExit(event)\n"
        "sys.addaudithook(hook)\n"
        "import gateway.cli, gateway.app\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("gateway/core/tiers.py", "import gateway.adapters.clock"),
        ("gateway/core/pricing.py", "import asyncio"),
        ("gateway/flow/pipeline.py", "import redis"),
    ],
)
def test_an_import_that_climbs_a_floor_fails_the_lint(tmp_path: Path, file: str, line: str) -> None:
    shutil.copytree(ROOT / "gateway", tmp_path / "gateway", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    planted = tmp_path / file
    planted.write_text(planted.read_text() + f"\n{line}\n")
    assert lint_imports(tmp_path) != 0


def test_the_floors_hold() -> None:
    assert lint_imports(ROOT) == 0


def lint_imports(folder: Path) -> int:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode
