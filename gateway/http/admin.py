"""What is asked seldom: models, health, metrics, documentation. FastAPI, with OpenAI's errors instead of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from gateway import __version__
from gateway.core.errors import (
    InvalidRequest,
    MethodNotAllowed,
    ModelNotFound,
    NotFound,
    ThriftgateError,
    Unauthenticated,
)
from gateway.core.plan import AUTO, Model
from gateway.core.service import Service
from gateway.core.tiers import Tier
from gateway.http.exchange import crash_body, error_body, error_headers
from gateway.http.openapi import with_hot_routes
from gateway.http.serving import Now, Serving


@dataclass(frozen=True, slots=True)
class Metrics:
    """Of the whole gateway."""

    render: Callable[[], Awaitable[bytes]]
    content_type: str


def admin_app(now: Now, metrics: Metrics, started_at: int) -> FastAPI:
    """The application behind the hot routes. `started_at` is Unix seconds; models have no better birthday."""
    app = FastAPI(
        title="Thriftgate",
        version=__version__,
        description="An OpenAI-compatible LLM gateway.",
    )
    _answer_errors(app)
    _describe_hot_routes(app)
    _add_health(app, now)
    _add_models(app, now, started_at)
    _add_files(app, now)
    _add_metrics(app, now, metrics)
    return app


def _add_health(app: FastAPI, now: Now) -> None:
    @app.get("/healthz", summary="The process is alive")
    @app.get("/health", include_in_schema=False)
    @app.get("/health/liveliness", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="What is ready, what is still loading, what is absent", responses={503: {}})
    @app.get("/health/readiness", include_in_schema=False)
    async def readyz() -> Response:
        status, body = now().readiness.report()
        return _json(body, status)


def _add_models(app: FastAPI, now: Now, created: int) -> None:
    @app.get("/v1/models", summary="List the models a service may ask for", responses={401: {}})
    @app.get("/models", include_in_schema=False)
    async def models(request: Request) -> Response:
        service = now().keyring.service(request.headers)
        data = [row for name, row in _listed(now(), created).items() if _may_ask(service, name)]
        return _json({"object": "list", "data": data})

    @app.get("/v1/models/{name:path}", summary="One model", responses={401: {}, 404: {}})
    @app.get("/models/{name:path}", include_in_schema=False)
    async def model(name: str, request: Request) -> Response:
        service = now().keyring.service(request.headers)
        listed = _listed(now(), created)
        if name not in listed or not _may_ask(service, name):
            raise ModelNotFound(f"There is no model `{name}`.", param="model")
        return _json(listed[name])


def _add_files(app: FastAPI, now: Now) -> None:
    """The gateway keeps no files, and says so truly: clients that look before they upload see an empty list."""

    @app.get("/v1/files", summary="List a service's files: none are kept", responses={401: {}})
    @app.get("/files", include_in_schema=False)
    async def files(request: Request) -> Response:
        now().keyring.service(request.headers)
        return _json({"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False})


def _add_metrics(app: FastAPI, now: Now, metrics: Metrics) -> None:
    shape: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {}}}, 401: {}}

    @app.get("/metrics", summary="Prometheus exposition", response_class=Response, responses=shape)
    async def prometheus(request: Request) -> Response:
        serving = now()
        if not serving.public_metrics and not serving.keyring.is_admin(request.headers):
            raise Unauthenticated("Send the admin key (`server.admin_key`), or set `server.public_metrics: true`.")
        return Response(await metrics.render(), media_type=metrics.content_type)


def _answer_errors(app: FastAPI) -> None:
    async def known(_: Request, error: Exception) -> Response:
        assert isinstance(error, ThriftgateError)
        return Response(error_body(error), error.status, error_headers(error))

    async def unrouted(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path = request.url.path
        if error.status_code == MethodNotAllowed.status:
            return await known(request, MethodNotAllowed(f"{path} does not take {request.method}."))
        return await known(request, NotFound(f"There is nothing at {path}. See /docs."))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        return await known(request, InvalidRequest(str(first["msg"]), param=str(first["loc"][-1])))

    async def crashed(_: Request, error: Exception) -> Response:
        return Response(crash_body(), 500, media_type="application/json")

    app.add_exception_handler(Exception, crashed)  # Starlette raises it again afterwards, for `front` to log
    app.add_exception_handler(ThriftgateError, known)
    app.add_exception_handler(HTTPException, unrouted)
    app.add_exception_handler(RequestValidationError, invalid)


def _describe_hot_routes(app: FastAPI) -> None:
    own = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = with_hot_routes(own())
        return app.openapi_schema

    app.openapi = whole  # type: ignore[method-assign]  # FastAPI's documented way to extend its document


def _listed(serving: Serving, created: int) -> dict[str, dict[str, Any]]:
    rows = dict(_names(serving.catalog.present() + serving.embedding_models))
    return {
        name: {"id": name, "object": "model", "created": created, "owned_by": owner} for name, owner in rows.items()
    }


def _names(models: tuple[Model, ...]) -> Iterator[tuple[str, str]]:
    yield AUTO, "thriftgate"
    for tier in Tier:
        yield f"{AUTO}:{tier}", "thriftgate"
    for model in models:
        yield model.name, model.provider
        yield model.pinned_name, model.provider


def _may_ask(service: Service, name: str) -> bool:
    alias, _, tier = name.partition(":")
    if alias != AUTO:
        return service.may_ask(name)
    return service.may_ask(name, AUTO) and (not tier or service.may_route_to(tier))


def _json(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
