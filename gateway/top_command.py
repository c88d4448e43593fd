"""`thriftgate top`: the figures of a running gateway in a terminal, as `/ui` shows them in a browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

PATH = "/v1/thriftgate/figures"
_TIMEOUT_S = 10.0
_WIDE, _NARROW, _TALL = 100, 70, 40
_SERVICES = 6
_AT_ONCE = 12
"""Latest requests where the screen has no end."""
_LEVELS = {"ok": "green", "warn": "yellow", "cheaper": "yellow", "local": "red", "spent": "red"}
_CACHES = {"hit": "green", "semantic-hit": "green", "joined": "green"}

Figures = Mapping[str, Any]


class Unanswered(Exception):
    """There are no figures; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the figures come from. `key` is the admin key or a service's; None needs none, on loopback."""

    url: str
    key: str | None = None
    service: str | None = None

    def fetch(self, http: httpx.Client) -> Figures:
        """Raises Unanswered."""
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        asked = {"service": self.service} if self.service else {}
        try:
            answer = http.get(self.url.rstrip("/") + PATH, headers=headers, params=asked)
            body: Figures = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unanswered(f"{self.url} does not answer: {error}") from error
        except ValueError as error:
            raise Unanswered(f"what answers at {self.url} is no gateway") from error
        if answer.status_code in (401, 403):
            raise Unanswered(f"{_said(body)} Set THRIFTGATE_KEY.")
        if answer.status_code != 200:
            raise Unanswered(_said(body))
        return body


def top(source: Source, *, once: bool, every_s: float, console: Console | None = None) -> int:
    """Until interrupted; or `once`, as it also is where nobody watches (no terminal). Exit status."""
    console = console or Console()
    with httpx.Client(timeout=_TIMEOUT_S) as http:
        if once or not console.is_terminal:
            try:
                console.print(screen(source.fetch(http), console.width))
            except Unanswered as error:
                console.print(f"thriftgate: {error}", markup=False, highlight=False)
                return 1
            return 0
        with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            watch(lambda: source.fetch(http), live, console, every_s)
    return 0


def watch(fetch: Callable[[], Figures], live: Live, console: Console, every_s: float) -> None:
    """Never ends. What was last seen stays while the gateway does not answer."""
    seen: RenderableType = Text("")
    while True:
        try:
            seen = screen(fetch(), console.width, console.height)
            live.update(seen, refresh=True)
        except Unanswered as error:
            live.update(Group(Text(str(error), style="yellow"), seen), refresh=True)
        time.sleep(every_s)


def screen(figures: Figures, width: int, height: int | None = None) -> RenderableType:
    """`height` in lines, None where there is no end; what does not fit is cut below. A low and narrow one goes without
    causes and budgets, so that something of the latest requests is seen."""
    beside = width >= _NARROW
    blocks = [_division(figures, width), _steps(figures), _budgets(figures)]
    if not beside and height is not None and height < _TALL:
        del blocks[1:]
    upper = Table.grid(expand=True, padding=(0, 1))
    for share in (4, 3, 3) if beside else (1,):
        upper.add_column(ratio=share)
    for row in [blocks] if beside else [[block] for block in blocks]:
        upper.add_row(*row)
    parts = [_head(figures), _cards(figures, width), upper, _recent(figures, width, height or _AT_ONCE)]
    if not figures["complete"]:
        parts.insert(1, Text("still reading the ledger of earlier runs: sums are too low", style="yellow"))
    return Group(*parts)


def _head(figures: Figures) -> RenderableType:
    whose = figures["service"] or "all services"
    return Text.assemble(("Thriftgate", "bold"), f"  {whose}", (f"   {figures['as_of'][:19]} UTC", "dim"))


def _cards(figures: Figures, width: int) -> RenderableType:
    month, saved = figures["month"], figures["range"]
    forecast = figures["forecast"]
    share = _share(saved["net_saved_usd"], saved["baseline_usd"])
    cards = [
        ("today", figures["today"]["total_usd"], f"{figures['today']['requests']:,} requests", ""),
        ("this month", month["total_usd"], f"{month['requests']:,} requests", ""),
        ("forecast", forecast["usd"], f"{dollars(forecast['low_usd'])} to {dollars(forecast['high_usd'])}", ""),
        ("saved, net", saved["net_saved_usd"], f"{share} of baseline", "green"),
    ]
    grid = Table.grid(expand=True)
    panels = [_card(*card) for card in cards]
    across = 4 if width >= _NARROW else 2
    for _ in range(across):
        grid.add_column(ratio=1)
    for first in range(0, len(panels), across):
        grid.add_row(*panels[first : first + across])
    return grid


def _card(title: str, usd: str, under: str, style: str) -> Panel:
    said = Text.assemble(
        (dollars(usd), f"bold {style}".strip()), "\n", (under, "dim"), no_wrap=True, overflow="ellipsis"
    )
    return Panel(said, title=f"[dim]{title}[/]", title_align="left", box=box.ROUNDED, border_style="dim")


def _division(figures: Figures, width: int) -> RenderableType:
    table = _table("where it went")
    table.add_column("service", ratio=1, no_wrap=True)
    columns = {"count": "requests", "cost": "total_usd", "saved": "net_saved_usd"}
    if _NARROW <= width < _WIDE:
        del columns["count"]
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for part in figures["by_service"][:_SERVICES]:
        cells = (part[field] for field in columns.values())
        table.add_row(
            escape(part["name"]), *(dollars(cell) if isinstance(cell, str) else f"{cell:,}" for cell in cells)
        )
    return table


def _steps(figures: Figures) -> RenderableType:
    sums = figures["range"]
    table = _table("from baseline to cost", headed=False)
    table.add_column("", ratio=1, no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_row("[bold]baseline[/]", f"[bold]{dollars(sums['baseline_usd'])}[/]")
    for one in figures["saved_by_cause"]:
        table.add_row(_words(one["name"]), f"[green]-{dollars(one['usd'])}[/]")
    for one in figures["overhead_by_kind"]:
        table.add_row(_words(one["name"]), f"[yellow]+{dollars(one['usd'])}[/]")
    table.add_row("[bold]cost[/]", f"[bold]{dollars(sums['total_usd'])}[/]")
    return table


def _budgets(figures: Figures) -> RenderableType:
    table = _table("budgets", headed=False)
    table.add_column("", no_wrap=True)
    table.add_column("", ratio=1, min_width=8)
    table.add_column("", justify="right", no_wrap=True)
    for budget, kind in _limited(figures["budgets"]):
        used, limit = budget[kind]["used"], budget[kind]["limit"]
        style = _LEVELS.get(budget["level"] or "", "dim")
        bar = ProgressBar(total=max(float(limit), 1e-9), completed=float(used or 0), complete_style=style)
        said = "not known" if used is None else _share(used, limit)
        table.add_row(f"{escape(budget['account'])} [dim]{budget['window']}[/]", bar, f"[{style}]{said}[/]")
    if not table.row_count:
        table.add_row("[dim]none[/]", "", "")
    return table


def _limited(budgets: Iterable[Figures]) -> Iterable[tuple[Figures, str]]:
    return [(budget, kind) for budget in budgets for kind in ("usd", "tokens") if budget[kind]["limit"] is not None]


def _recent(figures: Figures, width: int, rows: int) -> RenderableType:
    table = _table("latest requests")
    hidden = () if width >= _WIDE else ("why",) if width >= _NARROW else ("why", "tier", "took", "status")
    columns = {name: cell for name, cell in _CELLS.items() if name not in hidden}
    for name in columns:
        right = name in ("cost", "took")
        table.add_column(
            name,
            no_wrap=True,
            ratio=1 if name == "why" else None,
            min_width=_UNCUT.get(name),
            justify="right" if right else "left",
        )
    for one in figures["recent"][:rows]:
        table.add_row(*(cell(one) for cell in columns.values()))
    return table


_CELLS: Mapping[str, Callable[[Figures], str]] = {
    "time": lambda one: one["at"][11:19],
    "service": lambda one: escape(one["service"]),
    "tier": lambda one: one["tier"] or "-",
    "model": lambda one: escape(one["model"] or "-"),
    "cache": lambda one: f"[{_CACHES.get(one['cache'], 'dim')}]{one['cache']}[/]",
    "cost": lambda one: dollars(one["cost_usd"]),
    "took": lambda one: f"{one['duration_s']:.2f} s",
    "status": lambda one: str(one["status"]) if one["outcome"] == "ok" else f"[yellow]{one['status']}[/]",
    "why": lambda one: f"[dim]{escape(' · '.join(one['reasons']))}[/]",
}
"""Of a latest request, by the names of their columns."""
_UNCUT = {"time": 8, "cost": 10, "took": 7, "status": 6}
"""Columns that a narrow terminal does not cut: half a figure is none."""


def _table(title: str, *, headed: bool = True) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=box.SIMPLE_HEAD if headed else None,
        show_header=headed,
        expand=True,
        pad_edge=False,
    )


def dollars(text: str) -> str:
    """Two decimals from a dollar up, four from a cent up, below it what says something; `/ui` rounds the same."""
    value = float(text)
    sign, size = ("-" if value < 0 else ""), abs(value)
    if size == 0:
        return "$0"
    if size >= 1:
        return f"{sign}${size:,.2f}"
    if size >= 0.01:
        return f"{sign}${size:.4f}"
    digits = 3
    while size * 10 ** (digits - 2) < 1 and digits < 9:
        digits += 1
    return f"{sign}${size:.{digits}f}".rstrip("0")


def _share(part: str | int, whole: str | int) -> str:
    return f"{float(part) / float(whole):.0%}" if float(whole) > 0 else "-"


def _words(name: str) -> str:
    return escape(name.replace("_", " "))


def _said(body: Figures) -> str:
    error = body.get("error")
    return str(error.get("message")) if isinstance(error, dict) else "no figures, and no reason why"
