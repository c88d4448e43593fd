"""Whether somebody at this machine is asking, and not somebody else through it."""

from __future__ import annotations

import ipaddress

from fastapi import Request

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def is_local(request: Request) -> bool:
    """A connection from this machine, for this machine by its name or number, that no proxy says to have forwarded.

    The name matters: a page of a stranger may let its own name resolve to 127.0.0.1 (DNS rebinding), and then a browser
    here would read to it what is meant for who sits in front of it.
    """
    client = request.client.host if request.client else ""
    named = request.url.hostname or ""
    forwarded = any(name in request.headers for name in _FORWARDED)
    return _is_here(client) and (named == "localhost" or _is_here(named)) and not forwarded


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
