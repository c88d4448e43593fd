"""What a request costs here and elsewhere: nginx, Thriftgate on every path, and other gateways where installed.

    python -m tests.bench.speed [--rounds 5] [--seconds 3] [--connections 64,16,1] [--only NAME ...] [--realtime]

One gateway at a time, on core 0; the mock provider and the load generator on core 1. A round is everybody once, and
ratios are taken inside rounds, because a machine that others use drifts. Prints a table in Markdown with the medians,
what is left of the goals, and where and when it was measured. Needs Linux, two cores and a C compiler (`cc`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.bench import speed_report
from tests.bench.contestants import CONTESTANTS, CONTROL, HERE, VERDICTS, Contestant, Place, Way, body, seed
from tests.bench.machine import cpu_s, free_port, memory_mib, process, tree, wait_for_port
from tests.bench.speed_report import Row

GATEWAY_CORE, LOAD_CORE = 0, 1
CHUNKS, PACE_US = 20, 2_000
MOST_REQUESTS = 400_000


def main() -> None:
    options = parsed()
    if shutil.which("cc") is None or (os.cpu_count() or 1) < 2:
        sys.exit("bench: a C compiler (cc) and two cores are needed")
    if options.realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    chosen = [one for one in CONTESTANTS if not options.only or one.name in options.only]
    for absent in (one for one in chosen if one.absence):
        print(f"left out: {absent.name}: {absent.absence}", file=sys.stderr)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        built(Path(folder))
        for number in range(options.rounds):
            for contestant in (one for one in chosen if not one.absence):
                rows += measured(contestant, Path(folder), number, options.connections, options.seconds)
    print(speed_report.markdown(rows, options))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--connections", type=lambda text: [int(part) for part in text.split(",")], default=[64, 16, 1])
    parser.add_argument("--only", action="append", help="a name from tests/bench/contestants.py")
    parser.add_argument("--realtime", action="store_true", help="take both cores from everybody else (root)")
    return parser.parse_args()


def built(folder: Path) -> None:
    for program in ("mock", "load"):
        source = HERE / f"wire/{program}.c"
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", str(folder / program), str(source)], check=True)


def measured(one: Contestant, tools: Path, number: int, connections: list[int], seconds: float) -> Iterator[Row]:
    """All paths of one gateway, started for them. One that fails says so and has no row."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        place = Place(Path(folder), free_port(), free_port())
        mock = [str(tools / "mock"), str(place.mock_port), str(CHUNKS), str(PACE_US)]
        log = place.folder / "log"
        try:
            with (
                process(mock, LOAD_CORE, place.folder / "mock.log") as provider,
                process(one.command(place), GATEWAY_CORE, log, one.environ) as gateway,
            ):
                wait_for_port(place.mock_port, provider, 5.0)
                asking = Asking(one, place, tools, started(one, place, gateway, log), gateway.pid)
                idle_mib = memory_mib(tree(gateway.pid))
                for name, way in one.paths.items():
                    yield from asking.path(name, way, number, idle_mib, connections, seconds)
        except RuntimeError as error:
            print(f"{one.name}: {error}\n{log.read_text()[-800:]}", file=sys.stderr)


def started(one: Contestant, place: Place, gateway: subprocess.Popen[bytes], log: Path) -> int:
    """Its port, once it listens there."""
    port = place.port
    end_s = time.monotonic() + one.within_s
    while one.announces is not None and gateway.poll() is None and time.monotonic() < end_s:
        if found := one.announces.search(log.read_text()):
            port = int(found[1])
            break
        time.sleep(0.02)
    wait_for_port(port, gateway, one.within_s)
    while one.ready is not None and gateway.poll() is None and time.monotonic() < end_s:
        if httpx.get(f"http://127.0.0.1:{port}{one.ready}", timeout=60.0, trust_env=False).status_code == 200:
            break
    return port


class Asking:
    """The load generator in front of one running gateway."""

    def __init__(self, one: Contestant, place: Place, tools: Path, port: int, pid: int) -> None:
        self._one = one
        self._place = place
        self._load = str(tools / "load")
        self._port = port
        self._pid = pid

    def path(
        self, name: str, way: Way, number: int, idle_mib: float, connections: list[int], seconds: float
    ) -> Iterator[Row]:
        self._until_answered(seed(way, self._one.model))
        text = body(way, self._one.model)
        self._until_found(text, way)
        warm_up = self._one.warm_up if way in ("miss", "hit") else 100
        self._run(text, min(16, warm_up), 60.0, warm_up, way)
        for count in connections:
            pids = tree(self._pid)
            before_s = cpu_s(pids)
            heard = self._run(text, count, seconds, MOST_REQUESTS, way)
            used_s = cpu_s(pids) - before_s
            row = Row(self._one.name, name, count, number, used_s, idle_mib, memory_mib(pids), **heard)
            print(speed_report.line(row), file=sys.stderr, flush=True)
            yield row

    def _until_answered(self, text: str) -> None:
        """A port is open before a gateway is ready."""
        end_s = time.monotonic() + self._one.within_s
        while time.monotonic() < end_s:
            heard = self._run(text, 1, 30.0, 1)
            if heard["answers"] == 1 and not heard["refused"] and not heard["broken"]:
                return
            time.sleep(0.2)
        raise RuntimeError(f"no good answer within {self._one.within_s:g} s")

    def _until_found(self, text: str, way: Way) -> None:
        """Until it is the path that it is taken for: an answer is stored a moment after it was given."""
        url = f"http://127.0.0.1:{self._port}{self._one.route}"
        request = text.replace("@@@@@@@@@@", f"{time.time_ns() % 10**10:010}")
        headers = {"content-type": "application/json", **self._one.headers(self._place), **CONTROL[way]}
        found, end_s = None, time.monotonic() + self._one.within_s
        while self._one.verdict is not None and found != VERDICTS[way]:
            if time.monotonic() > end_s:
                raise RuntimeError(f"asked for a {way}, and {self._one.verdict} says {found}")
            answer = httpx.post(url, content=request, headers=headers, timeout=60.0, trust_env=False)
            found = answer.headers.get(self._one.verdict)

    def _run(self, text: str, connections: int, seconds: float, most: int, way: Way = "hit") -> dict[str, float]:
        file = self._place.folder / "request.json"
        file.write_text(text)
        headers = [f"{name}: {value}" for name, value in {**self._one.headers(self._place), **CONTROL[way]}.items()]
        arguments = [str(self._port), self._one.route, str(connections), str(seconds), str(most), str(file), *headers]
        done = subprocess.run(
            ["taskset", "-c", str(LOAD_CORE), self._load, *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"the load generator ended with {done.returncode}: {done.stderr}")
        heard: dict[str, float] = json.loads(done.stdout)
        return heard


if __name__ == "__main__":
    main()
