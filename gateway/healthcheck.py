"""What a container asks of itself every few seconds: `python -m gateway.healthcheck [PORT]`, exit status 0 or 1.

It asks /healthz, so whether the process answers: a model that still loads or a provider that is away is no reason to
restart a gateway (that is /readyz). Not a command of `thriftgate` and not over http.client: it runs for ever, and costs
40 ms of CPU a time; their imports cost 80 and 700 (2026-11-23).
"""

from __future__ import annotations

import socket
import sys

_PORT = 4000
_TIMEOUT_S = 2.0
_REQUEST = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"


def main(argv: list[str]) -> int:
    """One line on standard error says why not: `docker inspect` shows it."""
    port = int(argv[0]) if argv else _PORT
    try:
        status = _status_line(port)
    except OSError as error:
        return _unwell(f"127.0.0.1:{port}: {error}")
    return 0 if b" 200 " in status else _unwell(f"127.0.0.1:{port}: /healthz answers {status!r}")


def _status_line(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), _TIMEOUT_S) as connection:
        connection.sendall(_REQUEST)
        with connection.makefile("rb") as answer:
            return answer.readline(1_024)


def _unwell(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
