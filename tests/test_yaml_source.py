from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.yaml_source import ConfigError, Problem, read

SECRET = "sk-very-secret-9f3a"


def written(folder: Path, **files: str) -> Path:
    """Writes NAME.yaml for each and returns `main.yaml`."""
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(content)
    return folder / "main.yaml"


def problem(path: Path) -> Problem:
    with pytest.raises(ConfigError) as caught:
        read(path, {})
    (only,) = caught.value.problems
    return only


def test_every_key_and_item_remembers_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, main="a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n")
    source = read(path, {})
    assert source.document == {"a": {"b": 1, "c": ["x", {"d": 2}]}}
    assert source.where(("a",)) == f"{path}:1"
    assert source.where(("a", "b")) == f"{path}:2"
    assert source.where(("a", "c", 0)) == f"{path}:4"
    assert source.where(("a", "c", 1, "d")) == f"{path}:5"


def test_what_was_not_written_is_where_its_enclosing_key_is(tmp_path: Path) -> None:
    path = written(tmp_path, main="\na: {b: 1}\n")
    assert read(path, {}).where(("a", "missing", "deeper")) == f"{path}:2"
    assert read(path, {}).where(("other",)) == "configuration"


# includes


def test_the_including_file_wins_key_by_key(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        main="include: [one.yaml, two.yaml]\na: {x: main}\n",
        one="a: {x: one, y: one, z: one}\nlist: [1]\n",
        two="a: {y: two}\nlist: [2, 3]\n",
    )
    assert read(path, {}).document == {"a": {"x": "main", "y": "two", "z": "one"}, "list": [2, 3]}


def test_a_null_in_the_including_file_takes_a_key_away(tmp_path: Path) -> None:
    path = written(tmp_path, main="include: one.yaml\na: {x: null}\n", one="a: {x: one, y: one}\n")
    assert read(path, {}).document == {"a": {"y": "one"}}


def test_a_merged_key_is_where_the_winning_file_has_it(tmp_path: Path) -> None:
    path = written(tmp_path, main="include: one.yaml\n\na: {x: {new: 1}}\n", one="a:\n  x: {old: 1}\n  y: {old: 1}\n")
    source = read(path, {})
    assert source.where(("a", "x", "new")) == f"{path}:3"
    assert source.where(("a", "x", "old")) == f"{path}:3"
    assert source.where(("a", "y", "old")) == f"{tmp_path / 'one.yaml'}:3"


def test_an_include_is_found_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/one.yaml").write_text("include: two.yaml\n")
    (tmp_path / "sub/two.yaml").write_text("a: 2\n")
    assert read(written(tmp_path, main="include: sub/one.yaml\n"), {}).document == {"a": 2}


def test_two_files_may_include_the_same_third(tmp_path: Path) -> None:
    both = {"one": "include: shared.yaml\n", "two": "include: shared.yaml\n", "shared": "a: 1\n"}
    assert read(written(tmp_path, main="include: [one.yaml, two.yaml]\n", **both), {}).document == {"a": 1}


@pytest.mark.parametrize("nothing", ["include:", "include: []"])
def test_including_nothing_is_allowed(tmp_path: Path, nothing: str) -> None:
    assert read(written(tmp_path, main=f"{nothing}\na: 1\n"), {}).document == {"a": 1}


def test_a_circle_of_includes_is_refused_where_it_closes(tmp_path: Path) -> None:
    path = written(tmp_path, main="include: one.yaml\n", one="\ninclude: main.yaml\n")
    found = problem(path)
    assert found.where == f"{tmp_path / 'one.yaml'}:2"
    assert "includes itself" in found.message


def test_a_missing_include_is_named_with_the_line_that_names_it(tmp_path: Path) -> None:
    path = written(tmp_path, main="a: 1\ninclude: [gone.yaml]\n")
    found = problem(path)
    assert found.where == f"{path}:2"
    assert "gone.yaml" in found.message


@pytest.mark.parametrize("value", ["5", "[5]", "{a: b}", "true"])
def test_an_include_that_is_no_file_name_is_refused(tmp_path: Path, value: str) -> None:
    path = written(tmp_path, main=f"a: 1\ninclude: {value}\n")
    assert problem(path).where == f"{path}:2"


# what is not readable


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", 3),
        ("a:\n  b: 1\n  b: 2\n", 3),
        ("a: {b: [}\n", 1),
        ("a: 1\n\tb: 2\n", 2),
        ("a: 1\nb: @x\n", 2),
        ("a: 1\nb: !secret x\n", 2),
        ("a: 1\nb: 2026-99-99\n", 2),
        ("a: 1\n? [x, y]\n: 2\n", 2),
        ("a: &a\n  b: *a\n", 1),
        ("- a\n", 1),
        ("just text\n", 1),
        ("", 1),
        ("a: 1\n---\nb: 2\n", 2),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line_and_a_mend(tmp_path: Path, content: str, line: int) -> None:
    path = written(tmp_path, main=content)
    found = problem(path)
    assert found.where == f"{path}:{line}"
    assert found.mend


def test_a_duplicate_key_is_named(tmp_path: Path) -> None:
    assert problem(written(tmp_path, main="a: 1\na: 2\n")).message == "`a` is written twice"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    found = problem(tmp_path / "none.yaml")
    assert found.where == str(tmp_path / "none.yaml")
    assert "--config" in found.mend


@pytest.mark.parametrize("content", [b"a: \xff\xfe", b"a: 'x\x01'"])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "main.yaml"
    path.write_bytes(content)
    assert problem(path).where == str(path)


@pytest.mark.parametrize("form", ["*{}", "!{} x", "a: {}: b", "&{} &{}", "'{}", '"{}\\q"', "[{}", "!{}!x y", "%{}"])
def test_an_error_never_quotes_a_value(tmp_path: Path, form: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(written(tmp_path, main=f"key: {form.replace('{}', SECRET)}\n"), {})
    assert SECRET not in str(caught.value)


@given(content=st.text("ab:{}[]-*&!@%'\"\n #|>?,0.", max_size=30))
def test_any_text_is_read_or_refused_and_never_crashes(tmp_path_factory: pytest.TempPathFactory, content: str) -> None:
    path = tmp_path_factory.mktemp("any") / "main.yaml"
    path.write_text(content)
    with suppress(ConfigError):
        assert isinstance(read(path, {}).document, dict)


# keys and values


def test_keys_are_text_as_written(tmp_path: Path) -> None:
    path = written(tmp_path, main="models: {4: a, on: b, 1.50: c, ~: d, 'x y': e}\n")
    assert read(path, {}).document == {"models": {"4": "a", "on": "b", "1.50": "c", "~": "d", "x y": "e"}}


def test_a_secret_comes_from_the_environment(tmp_path: Path) -> None:
    path = written(tmp_path, main="a: {key: os.environ/KEY}\nb: [os.environ/KEY]\n")
    source = read(path, {"KEY": SECRET})
    assert source.document == {"a": {"key": SECRET}, "b": [SECRET]}
    assert source.unset == {}


@pytest.mark.parametrize("environ", [{}, {"KEY": ""}])
def test_an_unset_or_empty_variable_is_remembered(tmp_path: Path, environ: dict[str, str]) -> None:
    source = read(written(tmp_path, main="a: {key: os.environ/KEY}\n"), environ)
    assert source.document == {"a": {"key": None}}
    assert source.unset == {("a", "key"): "KEY"}


def test_a_variables_value_is_not_looked_up_again(tmp_path: Path) -> None:
    path = written(tmp_path, main="a: os.environ/ONE\n")
    assert read(path, {"ONE": "os.environ/TWO", "TWO": SECRET}).document == {"a": "os.environ/TWO"}


def test_all_problems_are_told_with_where_and_mend() -> None:
    error = ConfigError(Problem("f.yaml:1", "is wrong", "mend it"), Problem("f.yaml:2", "is odd"))
    assert str(error) == "f.yaml:1: is wrong\n    → mend it\nf.yaml:2: is odd"
