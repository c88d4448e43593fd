"""Minting, listing, rotating and revoking the keys of a service, for the operator. `thriftgate keys` does the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import Depends, FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.core.errors import InvalidRequest, NotFound
from gateway.core.service_key import Lapse, Minted, ServiceKey
from gateway.http.service_routes import service_named
from gateway.http.serving import Now, Serving
from gateway.ports import Clock, KeyDesk
from gateway.service_catalog import is_anonymous

_PATH = "/v1/thriftgate/services/{name}/keys"
_DAY_S = 86_400
_TEN_YEARS_S = 3_650 * _DAY_S


class KeyWanted(BaseModel):
    """`name` is for people, to know one key from another."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("", max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")
    expires_in_s: int | None = Field(None, ge=1, le=_TEN_YEARS_S)


class Rotation(BaseModel):
    """For `grace_s` both keys are good."""

    model_config = ConfigDict(extra="forbid")

    grace_s: int = Field(_DAY_S, ge=0, le=_TEN_YEARS_S)


class KeyView(BaseModel):
    object: Literal["thriftgate.key"] = "thriftgate.key"
    id: str
    prefix: str
    service: str
    name: str
    state: Lapse | Literal["good"]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKey(KeyView):
    """`key` is shown here and never again: only its SHA-256 is kept."""

    key: str


class KeyList(BaseModel):
    object: Literal["list"] = "list"
    data: list[KeyView]


def add_key_routes(app: FastAPI, now: Now, desk: KeyDesk, clock: Clock) -> None:
    async def operator(request: Request) -> None:
        now().keyring.require_admin(request.headers)

    only = [Depends(operator)]  # asked before the body is looked at
    failures: dict[int | str, dict[str, Any]] = {400: {}, 401: {}, 403: {}, 404: {}, 413: {}, 503: {}}

    @app.post(_PATH, status_code=201, summary="Mint a key for a service (admin)", dependencies=only, responses=failures)
    async def create(name: str, response: Response, wanted: KeyWanted | None = None) -> NewKey:
        service, wanted = _with_keys(now(), name), wanted or KeyWanted()
        return _shown(response, await desk.create(service, wanted.name, wanted.expires_in_s), clock)

    @app.get(
        _PATH,
        summary="The minted keys of a service, also those that are over (admin)",
        dependencies=only,
        responses=failures,
    )
    async def listed(name: str) -> KeyList:
        service = _with_keys(now(), name)
        return KeyList(data=[_view(key, clock) for key in await desk.all() if key.service == service])

    @app.delete(f"{_PATH}/{{id}}", summary="Revoke a key, from now on (admin)", dependencies=only, responses=failures)
    async def revoke(name: str, id: str) -> KeyView:
        await _must_be_of(desk, _with_keys(now(), name), id)
        return _view(await desk.revoke(id), clock)

    @app.post(
        f"{_PATH}/{{id}}/rotate",
        status_code=201,
        summary="Mint a key in the place of this one, which stays good for a while (admin)",
        dependencies=only,
        responses=failures,
    )
    async def rotate(name: str, id: str, response: Response, rotation: Rotation | None = None) -> NewKey:
        await _must_be_of(desk, _with_keys(now(), name), id)
        return _shown(response, await desk.rotate(id, (rotation or Rotation()).grace_s), clock)


def _with_keys(serving: Serving, name: str) -> str:
    """The service's name. Raises NotFound, and InvalidRequest while nobody needs a key."""
    if is_anonymous(service_named(serving, name)):
        raise InvalidRequest("No `services:` are configured, so nobody needs a key. Add one first.", param="name")
    return name


async def _must_be_of(desk: KeyDesk, service: str, id: str) -> None:
    """Raises NotFound."""
    if not any(key.id == id and key.service == service for key in await desk.all()):
        raise NotFound(f"Service `{service}` has no minted key `{id}`.", param="id")


def _shown(response: Response, minted: Minted, clock: Clock) -> NewKey:
    response.headers["cache-control"] = "no-store"
    return NewKey(**dict(_view(minted.key, clock)), key=minted.secret)


def _view(key: ServiceKey, clock: Clock) -> KeyView:
    return KeyView(
        id=key.id,
        prefix=key.prefix,
        service=key.service,
        name=key.name,
        state=key.lapse(clock.unix_s()) or "good",
        created_at=datetime.fromtimestamp(key.created_s, UTC),
        expires_at=_moment(key.expires_s),
        revoked_at=_moment(key.revoked_s),
    )


def _moment(unix_s: int | None) -> datetime | None:
    return None if unix_s is None else datetime.fromtimestamp(unix_s, UTC)
