"""TensorZero's gateway, as its Python package carries it (no binary of its own could be had). Runs in its virtualenv.

    python tensorzero_gateway.py CONFIG_FILE

It takes a port of its own choice, which is printed.
"""

from __future__ import annotations

import signal
import sys

from tensorzero import _start_http_gateway  # type: ignore[import-not-found]  # of a virtualenv of its own

gateway = _start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
print(f"listening on {gateway.base_url}", flush=True)
signal.pause()
