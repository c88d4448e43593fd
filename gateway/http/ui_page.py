"""`/ui`: one static page and what it loads. It has no figures in it: it asks `/v1/thriftgate/figures` for them.

Everything comes from here and nothing from elsewhere, which the browser is told to hold us to. Charts are drawn by
Chart.js 3.8.2 (MIT), in a package that carries its release file; nothing of that package is imported.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import FileResponse

_FOLDER = Path(__file__).parent / "ui"
_POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",  # kept, and asked about with its ETag: a new version shows at once
}


def add_ui(app: FastAPI) -> None:
    """Only the files that are named here are served."""

    @app.get("/ui", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_FOLDER / "index.html", headers=_HEADERS)

    files = {path.name: path for path in _FOLDER.iterdir() if path.suffix in {".js", ".css", ".svg"}}
    files["chart.js"] = chart_library()
    for name, path in files.items():
        app.add_api_route(f"/ui/{name}", _served(path), include_in_schema=False, response_class=FileResponse)


def chart_library() -> Path:
    """Raises ModuleNotFoundError where the package that carries it is not installed."""
    found = find_spec("admincharts")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("django-admincharts is not installed, which carries Chart.js; run `make install`")
    return Path(found.submodule_search_locations[0]) / "static/admincharts/chart.min.js"


def _served(path: Path) -> Callable[[], Awaitable[FileResponse]]:
    async def serve() -> FileResponse:
        return FileResponse(path, headers=_HEADERS)

    return serve
