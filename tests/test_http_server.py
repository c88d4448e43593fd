"""Sockets are bound before anything is imported, so that a taken port is one clear line."""

from __future__ import annotations

import socket
from collections import Counter
from contextlib import ExitStack
from errno import EADDRINUSE

import pytest

from gateway.http_server import listen, listen_together


def test_sockets_that_listen_together_share_a_port_and_its_connections() -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(each) for each in listen_together("127.0.0.1", 0, 4)]
        (address,) = {each.getsockname() for each in listeners}
        for _ in range(64):
            stack.enter_context(socket.create_connection(address))
        waiting = Counter(number for number, each in enumerate(listeners) for _ in accepted(each, stack))
    assert waiting.total() == 64
    assert len(waiting) > 1, "a hash that sends 64 connections to one of four does so once in 4 ** 63"


def accepted(listener: socket.socket, stack: ExitStack) -> list[socket.socket]:
    """All that wait."""
    listener.setblocking(False)
    found: list[socket.socket] = []
    while True:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return found
        found.append(stack.enter_context(connection))


@pytest.mark.parametrize("before", [1, 2])
@pytest.mark.parametrize("after", [1, 2])
def test_a_port_that_another_gateway_has_is_refused(before: int, after: int) -> None:
    """Also where both would share it: the kernel would let them, and spread the requests over two gateways."""
    with ExitStack() as stack:
        theirs = [listen("127.0.0.1", 0)] if before == 1 else listen_together("127.0.0.1", 0, before)
        for each in theirs:
            stack.enter_context(each)
        port = theirs[0].getsockname()[1]
        with pytest.raises(OSError, match="in use") as refused:
            listen_together("127.0.0.1", port, after) if after > 1 else listen("127.0.0.1", port)
    assert refused.value.errno == EADDRINUSE
