"""Reading the configuration again, by request. `kill -HUP` does the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import orjson
from fastapi import FastAPI, Request, Response

from gateway.http.serving import Now

Reload = Callable[[], Awaitable[str]]
"""Serves by the configuration as it is now, and says what that is. Raises InvalidConfiguration."""


def add_reload_route(app: FastAPI, now: Now, reload: Reload) -> None:
    @app.post(
        "/v1/thriftgate/reload",
        summary="Read the configuration again (admin); a wrong one changes nothing and is a 400 with every problem",
        responses={400: {}, 401: {}, 403: {}},
    )
    async def reload_configuration(request: Request) -> Response:
        now().keyring.require_admin(request.headers)
        return Response(orjson.dumps({"reloaded": True, "detail": await reload()}), media_type="application/json")
