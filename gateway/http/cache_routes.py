"""Deleting cached answers: one's own, or as admin anybody's."""

from __future__ import annotations

import orjson
from fastapi import FastAPI, Request, Response

from gateway.core.errors import AdminOnly, InvalidRequest, NotFound, Unavailable
from gateway.http.serving import Forget, Now, Serving


def add_cache_routes(app: FastAPI, now: Now, forget: Forget) -> None:
    """`forget` is for the whole gateway, `Serving.forget` for one process of it."""

    @app.delete(
        "/v1/thriftgate/cache",
        summary="Delete cached answers: by key, of a service, or (admin) all",
        responses={400: {}, 401: {}, 403: {}, 404: {}, 503: {}},
    )
    async def delete(request: Request, key: str | None = None, service: str | None = None) -> Response:
        if key is not None and service is not None:
            raise InvalidRequest("Send `key` or `service`, not both.", param="key")
        serving = now()
        deleted = await forget(_owner(request, serving, key, service), key)
        if deleted is None:
            raise Unavailable("A shared cache could not be reached; only what is in this process is gone. Try again.")
        return Response(orjson.dumps({"deleted": deleted}), media_type="application/json")


def _owner(request: Request, serving: Serving, key: str | None, name: str | None) -> str | None:
    """Whose answers may go: None is everybody's."""
    if serving.keyring.is_admin(request.headers):
        if name is None:
            return None
        if name not in serving.services:
            raise NotFound(f"There is no service `{name}`.", param="service")
        return serving.services[name].cache_scope
    own = serving.keyring.service(request.headers)
    if key is None and name != own.name:
        raise AdminOnly(f"With this key, add `?service={own.name}` or `?key=`; anything else needs the admin key.")
    return own.cache_scope
