"""What `/ui` serves, and what it lets a browser do with it. `tests/browser` looks at it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from gateway.http.ui_page import chart_library
from tests.fixtures.gateway import Config, running

UI = Path(__file__).parent.parent.parent / "gateway/http/ui"
CHART_JS_3_8_2 = "b2b67bc02e022e563417d5058e2ebc753c18250e68f7742eab6fa2c90e201ff2"
"""SHA-256 of dist/chart.min.js in the npm package chart.js 3.8.2, compared on 2026-11-23."""


async def test_the_page_and_all_it_names_are_served_and_held_to_this_gateway(
    tmp_path: Path, four_providers: Config
) -> None:
    async with running(tmp_path, four_providers) as gateway:
        page = await gateway.http.get("/ui")
        named = set(re.findall(r'(?:src|href)="([^"]+)"', page.text))
        answers = {path: await gateway.http.get(path) for path in named}
        inner = {path for answer in answers.values() for path in re.findall(r'from "([^"]+)"', answer.text)}
        answers |= {path: await gateway.http.get(path) for path in inner}
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 200)
    assert {"/ui/app.js", "/ui/charts.js", "/ui/chart.js", "/ui/style.css"} <= answers.keys()
    for answer in (page, *answers.values()):
        assert answer.headers["content-security-policy"].startswith("default-src 'self';")
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_has_nothing_inline() -> None:
    page = (UI / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", page) == []
    assert "//" not in re.sub(r"<!doctype[^>]*>", "", page)


def test_no_script_reads_text_as_html() -> None:
    for script in UI.glob("*.js"):
        assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|eval\(|document\.write", script.read_text()) == []


def test_chart_js_is_the_release_byte_for_byte() -> None:
    assert hashlib.sha256(chart_library().read_bytes()).hexdigest() == CHART_JS_3_8_2


@pytest.mark.parametrize("path", ["/ui/nothing.js", "/ui/../ui_page.py", "/ui/%2e%2e/ui_page.py", "/ui/index.html"])
async def test_nothing_else_is_served(tmp_path: Path, four_providers: Config, path: str) -> None:
    async with running(tmp_path, four_providers) as gateway:
        assert (await gateway.http.get(path)).status_code == 404
