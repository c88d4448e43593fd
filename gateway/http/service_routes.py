"""What the services may use and have used: all of them for the operator, its own budgets for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Literal

from fastapi import FastAPI, Request
from pydantic import BaseModel

from gateway.core.budget import Payer
from gateway.core.errors import LedgerUnavailable, NotFound
from gateway.core.service import Service
from gateway.http.account_views import BudgetView, ServiceView, budget_view, service_view
from gateway.http.serving import Now, Serving
from gateway.ports import Standing

Stand = Callable[[Payer], Awaitable[tuple[Standing, ...]]]
"""`ports.Ledger.standing`."""


class ServiceList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ServiceView]


class OwnBudgets(BaseModel):
    object: Literal["thriftgate.budget"] = "thriftgate.budget"
    service: str
    budgets: list[BudgetView]


def add_service_routes(app: FastAPI, now: Now, stand: Stand) -> None:
    @app.get(
        "/v1/thriftgate/services",
        summary="The services, what they may use and what they have used (admin)",
        responses={401: {}, 403: {}},
    )
    async def services(request: Request) -> ServiceList:
        serving = now()
        serving.keyring.require_admin(request.headers)
        views = [_view(service, stand) for service in serving.services.values()]
        return ServiceList(data=list(await asyncio.gather(*views)))

    @app.get(
        "/v1/thriftgate/services/{name}",
        summary="One service (admin)",
        responses={401: {}, 403: {}, 404: {}},
    )
    async def service(name: str, request: Request) -> ServiceView:
        serving = now()
        serving.keyring.require_admin(request.headers)
        return await _view(service_named(serving, name), stand)

    @app.get(
        "/v1/thriftgate/budget",
        summary="The calling service's own budgets; not those of its groups, which tell what others have used",
        responses={401: {}, 503: {}},
    )
    async def budget(request: Request) -> OwnBudgets:
        caller = now().keyring.service(request.headers)
        own = tuple(budget for budget in caller.payer.budgets if budget.account == caller.name)
        standings = await stand(replace(caller.payer, budgets=own))
        return OwnBudgets(
            service=caller.name, budgets=[budget_view(standing.budget, standing) for standing in standings]
        )


def service_named(serving: Serving, name: str) -> Service:
    """Raises NotFound."""
    if name not in serving.services:
        raise NotFound(f"There is no service `{name}`.", param="name")
    return serving.services[name]


async def _view(service: Service, stand: Stand) -> ServiceView:
    """The operator sees the rest of a service also while the ledger is away."""
    try:
        return service_view(service, await stand(service.payer))
    except LedgerUnavailable as error:
        return service_view(service, None, error.message)
