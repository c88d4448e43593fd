"""What a request costs here and elsewhere: nginx, Thriftgate on every path, and other gateways where installed.

    python -m tests.bench.speed [--rounds 5] [--seconds 1.5] [--connections 64,16,1] [--only NAME ...] [--realtime]

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
from contextlib import ExitStack, contextmanager
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
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
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
    try:
        with running(one, tools) as asking:
            for name, way in one.paths.items():
                yield from asking.path(name, way, number, connections, seconds)
    except RuntimeError as error:
        print(error, file=sys.stderr)


@contextmanager
def running(
    one: Contestant, tools: Path, chunks: int = CHUNKS, pace_us: int = PACE_US, folder: Path | None = None
) -> Iterator[Asking]:
    """In front of a mock whose streams have so many chunks, so far apart; with the state of an earlier run in the same
    `folder`, if one is named. Raises RuntimeError with its last words."""
    with ExitStack() as stack:
        own = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        place = Place(own, free_port(), free_port())
        mock = [str(tools / "mock"), str(place.mock_port), str(chunks), str(pace_us)]
        log = place.folder / "log"
        try:
            with (
                process(mock, LOAD_CORE, place.folder / "mock.log") as provider,
                process(one.command(place), GATEWAY_CORE, log, one.environ) as gateway,
            ):
                wait_for_port(place.mock_port, provider, 5.0)
                yield Asking(one, place, tools, started(one, place, gateway, log), gateway.pid)
        except RuntimeError as error:
            raise RuntimeError(f"{one.name}: {error}\n{log.read_text()[-800:]}") from error


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
        self.place = place
        self._load = str(tools / "load")
        self._port = port
        self._pid = pid
        self.idle_mib = self.memory_mib()

    def memory_mib(self) -> float:
        return memory_mib(tree(self._pid))

    def path(self, name: str, way: Way, number: int, connections: list[int], seconds: float) -> Iterator[Row]:
        self.warm_up(way)
        for count in connections:
            pids = tree(self._pid)
            before_s = cpu_s(pids)
            with self.asked(way, count, seconds, MOST_REQUESTS) as load:
                heard = outcome(load)
            used_s = cpu_s(pids) - before_s
            row = Row(self._one.name, name, count, number, used_s, self.idle_mib, self.memory_mib(), **heard)
            print(speed_report.line(row), file=sys.stderr, flush=True)
            yield row

    def warm_up(self, way: Way) -> None:
        """Until it answers this way, and as fast as it will."""
        self._until_answered(seed(way, self._one.model))
        self._until_found(body(way, self._one.model), way)
        requests = self._one.warm_up if way in ("miss", "hit") else 100
        with self.asked(way, min(16, requests), 60.0, requests) as load:
            outcome(load)

    def asked(self, way: Way, connections: int, seconds: float, most: int) -> subprocess.Popen[str]:
        """The load generator, which `outcome` waits for."""
        return self._load_of(body(way, self._one.model), way, connections, seconds, most)

    def _until_answered(self, text: str) -> None:
        """A port is open before a gateway is ready."""
        end_s = time.monotonic() + self._one.within_s
        while time.monotonic() < end_s:
            with self._load_of(text, "hit", 1, 30.0, 1) as load:
                heard = outcome(load)
            if heard["answers"] == 1 and not heard["refused"] and not heard["broken"]:
                return
            time.sleep(0.2)
        raise RuntimeError(f"no good answer within {self._one.within_s:g} s")

    def _until_found(self, text: str, way: Way) -> None:
        """Until it is the path that it is taken for: an answer is stored a moment after it was given."""
        url = f"http://127.0.0.1:{self._port}{self._one.route}"
        request = text.replace("@@@@@@@@@@", f"{time.time_ns() % 10**10:010}")
        headers = {"content-type": "application/json", **self._one.headers(self.place), **CONTROL[way]}
        found, end_s = None, time.monotonic() + self._one.within_s
        while self._one.verdict is not None and found != VERDICTS[way]:
            if time.monotonic() > end_s:
                raise RuntimeError(f"asked for a {way}, and {self._one.verdict} says {found}")
            answer = httpx.post(url, content=request, headers=headers, timeout=60.0, trust_env=False)
            found = answer.headers.get(self._one.verdict)

    def _load_of(self, text: str, way: Way, connections: int, seconds: float, most: int) -> subprocess.Popen[str]:
        file = self.place.folder / "request.json"
        file.write_text(text)
        headers = [f"{name}: {value}" for name, value in {**self._one.headers(self.place), **CONTROL[way]}.items()]
        arguments = [str(self._port), self._one.route, str(connections), str(seconds), str(most), str(file), *headers]
        command = ["taskset", "-c", str(LOAD_CORE), self._load, *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcome(load: subprocess.Popen[str]) -> dict[str, float]:
    """What the load generator prints at its end. Raises RuntimeError when it failed."""
    printed, complaint = load.communicate()
    if load.returncode != 0:
        raise RuntimeError(f"the load generator ended with {load.returncode}: {complaint}")
    if complaint:
        print(complaint.strip(), file=sys.stderr)
    heard: dict[str, float] = json.loads(printed)
    return heard


if __name__ == "__main__":
    main()
