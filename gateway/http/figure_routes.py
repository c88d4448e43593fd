"""The figures: what was spent and saved, for the operator; a service sees its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from typing import Annotated

from fastapi import FastAPI, Query, Request

from gateway.core.budget import Payer
from gateway.core.errors import AdminOnly, InvalidRequest, LedgerUnavailable
from gateway.core.figures import Days, figures, kept_days
from gateway.core.service import Service
from gateway.core.tally import date_of, day_of
from gateway.core.totals import Totals
from gateway.http.account_views import budget_view
from gateway.http.figure_views import Accounts, FiguresView, figures_view
from gateway.http.local_caller import is_local
from gateway.http.service_routes import Stand, service_named
from gateway.http.serving import Now, Serving
from gateway.ports import Clock

Tallies = Callable[[], Awaitable[Totals]]
"""What was told, of all processes together."""


def add_figure_routes(app: FastAPI, now: Now, tallies: Tallies, stand: Stand, clock: Clock) -> None:
    @app.get(
        "/v1/thriftgate/figures",
        summary="What was spent and saved: today, this month with its forecast, and how it divides",
        responses={400: {}, 401: {}, 403: {}, 404: {}},
    )
    async def the_figures(
        request: Request,
        first: Annotated[date | None, Query(alias="from", description="UTC day; the first of this month.")] = None,
        last: Annotated[date | None, Query(alias="to", description="UTC day, included; today.")] = None,
        service: Annotated[str | None, Query(description="Only this one's. A service sees its own only.")] = None,
    ) -> FiguresView:
        serving, now_s = now(), clock.unix_s()
        wanted = _may_see(serving, request, service)
        kept = kept_days(now_s)
        chosen = _days(first, last, kept)
        totals, accounts = await asyncio.gather(tallies(), _accounts(serving, wanted, stand))
        shown = await asyncio.to_thread(figures, totals, now_s, chosen, wanted.name if wanted else None)
        names = [wanted.name] if wanted else list(serving.services)
        return figures_view(shown, kept, now_s, names, accounts, complete=totals.complete, only=wanted is not None)


def _may_see(serving: Serving, request: Request, name: str | None) -> Service | None:
    """Whose figures are shown, None for everybody's. The operator may see all, and so may who calls from this machine
    while the gateway listens on no other address. Raises Unauthenticated, AdminOnly and NotFound."""
    keyring, headers = serving.keyring, request.headers
    if keyring.is_admin(headers) or (serving.on_loopback and not keyring.has_key(headers) and is_local(request)):
        return None if name is None else service_named(serving, name)
    caller = keyring.service(headers)
    if name is not None and name != caller.name:
        raise AdminOnly("A service sees its own figures; another's need the admin key (`server.admin_key`).")
    return caller


def _days(first: date | None, last: date | None, kept: Days) -> Days | None:
    """None: as it is without being asked. Raises InvalidRequest."""
    if first is None and last is None:
        return None
    end = kept.last if last is None else day_of(last)
    start = day_of(date_of(end).replace(day=1)) if first is None else day_of(first)
    if start < kept.first:
        raise InvalidRequest(f"Figures are kept from {date_of(kept.first)} on (UTC).", param="from")
    if end < start:
        raise InvalidRequest("`to` is before `from`.", param="to")
    return Days(start, end)


async def _accounts(serving: Serving, service: Service | None, stand: Stand) -> Accounts:
    """The budgets of the one service, or of all and their groups, each once."""
    asked = [_alone(service)] if service else [one.payer for one in serving.services.values()]
    try:
        standings = await asyncio.gather(*map(stand, asked))
    except LedgerUnavailable as error:
        budgets = dict.fromkeys(budget for payer in asked for budget in payer.budgets)
        return Accounts(budgets=[budget_view(budget) for budget in budgets], unavailable=error.message)
    found = {standing.budget: standing for several in standings for standing in several}
    return Accounts(budgets=[budget_view(budget, standing) for budget, standing in found.items()])


def _alone(service: Service) -> Payer:
    """Without its groups' budgets: those tell what others have used."""
    own = tuple(budget for budget in service.payer.budgets if budget.account == service.name)
    return replace(service.payer, budgets=own)
