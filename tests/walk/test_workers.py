"""`thriftgate serve --workers N`: several processes that are one gateway to everybody outside."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import yaml

from gateway.adapters.ledger_estates import worker_folders
from gateway.offline.ledger_proof import EQUAL, prove
from gateway.settings import load
from tests import loopback
from tests.fixtures.gateway import Config, chat
from tests.fixtures.process import Served, serving
from tests.fixtures.state import Valkey
from tests.walk.test_first_day import children_of

TERRA = "gpt-6.1-terra"
SHOP = {"authorization": "Bearer key-shop"}
ADMIN = {"authorization": "Bearer key-admin"}
WORKERS = 2
EVERYWHERE = 32
"""So many connections of their own reach both workers, but for one time in two thousand million."""


def configured(folder: Path, config: Config, **more: Any) -> Path:
    """With a service, an admin, and an embedded state server of its own."""
    file = folder / "gateway.yaml"
    document: Config = {
        "embedder": {"engine": "none"},
        "providers": config["providers"],
        "models": config["models"],
        "state": {"timeout_ms": 30_000},
        "server": {"admin_key": "key-admin"},
        "services": [{"name": "shop", "key": "key-shop", "budget": {"usd": 1_000}}],
        **more,
    }
    document["models"][TERRA]["price"] = {"input": 1, "output": 2}
    file.write_text(yaml.safe_dump(document))
    return file


@contextmanager
def gateway(file: Path, workers: int = WORKERS) -> Iterator[Served]:
    """With every worker ready."""
    with serving(file.parent / "state", "--config", str(file), "--workers", str(workers)) as served:
        served.wait_for(r"\] ready$")
        yield served


async def once(served: Served, method: str, path: str, headers: dict[str, str], body: Any = None) -> httpx.Response:
    """Over a connection of its own, so that the kernel chooses the worker anew."""
    async with httpx.AsyncClient(base_url=served.url, timeout=60.0, trust_env=False, verify=False) as http:
        return await http.request(method, path, headers=headers, json=body)


async def ask(served: Served, text: str, headers: dict[str, str] = SHOP, **body: Any) -> httpx.Response:
    return await once(served, "POST", "/v1/chat/completions", headers, chat(text, TERRA, **body))


async def everywhere(served: Served, text: str, headers: dict[str, str] = SHOP) -> list[httpx.Response]:
    """Asked of all workers, one after the other."""
    return [await ask(served, text, headers) for _ in range(EVERYWHERE)]


async def metric(served: Served, name: str) -> float:
    """The sum over all labels, as any worker says it."""
    text = (await once(served, "GET", "/metrics", ADMIN)).text
    lines = [line for line in text.splitlines() if re.match(rf"thriftgate_{name}[ {{]", line)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def workers_of(served: Served) -> list[int]:
    """The processes that answer."""
    found = []
    for pid in children_of(served.process.pid):
        if b"gateway.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
            found.append(pid)
    return found


async def ended(pids: list[int]) -> None:
    """Until none of these processes is left."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        await asyncio.to_thread(select.select, [handle], [], [])
        os.close(handle)


async def kill_one(served: Served) -> int:
    """One worker dies, and another has taken its place."""
    (victim, *_) = workers_of(served)
    os.kill(victim, signal.SIGKILL)
    await ended([victim])
    await asyncio.to_thread(served.wait_for, "was ended by SIGKILL; another is started")
    await asyncio.to_thread(served.wait_for, "serves again")
    return victim


async def test_any_worker_tells_what_all_have_counted(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    with gateway(configured(tmp_path, four_providers)) as served:
        for answer in await asyncio.gather(*(ask(served, f"question {n}") for n in range(40))):
            assert answer.status_code == 200, answer.text
        assert [await metric(served, "requests_total") for _ in range(EVERYWHERE)] == [40] * EVERYWHERE
        figures = await once(served, "GET", "/v1/thriftgate/figures", ADMIN)
        assert figures.json()["today"]["requests"] == 40
    assert len(openai_upstream.requests) == 40


async def test_counters_outlive_the_worker_that_counted(tmp_path: Path, four_providers: Config) -> None:
    with gateway(configured(tmp_path, four_providers)) as served:
        for n in range(20):
            assert (await ask(served, f"question {n}")).status_code == 200
        for _ in range(EVERYWHERE):  # whoever is asked shows the others what it has
            await metric(served, "requests_total")
        await kill_one(served)
        assert [await metric(served, "requests_total") for _ in range(EVERYWHERE)] == [20] * EVERYWHERE
        assert (await once(served, "GET", "/readyz", {})).json()["workers"] == WORKERS
        await ask(served, "another")
        assert await metric(served, "requests_total") == 21


async def test_a_worker_that_is_killed_leaves_no_gap_in_the_books(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    """Killed while a provider answers: the next in its seat ends what it had reserved, the other's is left alone."""
    file = configured(tmp_path, four_providers)
    settings = load(file, {}, data_dir=str(tmp_path / "state")).settings
    ticks = asyncio.Semaphore(0)
    openai_upstream.always(loopback.Gated(ticks, loopback.Answer("word " * 9 + "end")))
    with gateway(file) as served:
        asked = [asyncio.ensure_future(ask(served, f"question {n}")) for n in range(12)]
        await openai_upstream.arrival(12)
        await kill_one(served)
        for _ in range(12 * 10):
            ticks.release()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        whole = [answer for answer in answers if isinstance(answer, httpx.Response)]
        assert all(answer.status_code == 200 for answer in whole)
        status, report = await prove(settings, [], as_json=True)
    assert status == EQUAL, report
    proven = orjson.loads(report)
    assert proven["open_holds"] == 0
    (day,) = proven["days"]
    assert day["billed_nano_usd"] == day["settled_nano_usd"]
    assert (day["recovered_nano_usd"] > 0) == (len(whole) < 12)


async def test_fewer_workers_end_in_the_books_what_more_had_left_open(
    tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream
) -> None:
    file = configured(tmp_path, four_providers)
    settings = load(file, {}, data_dir=str(tmp_path / "state")).settings
    openai_upstream.always(loopback.Gated(asyncio.Semaphore(0)))
    with gateway(file) as served:
        asked = [asyncio.ensure_future(ask(served, f"question {n}")) for n in range(12)]
        await openai_upstream.arrival(12)
        processes = children_of(served.process.pid)
        for pid in workers_of(served):  # at once, or they would let running requests end
            os.kill(pid, signal.SIGKILL)
        served.kill()
        await ended(processes)
        await asyncio.gather(*asked, return_exceptions=True)
    with gateway(file, workers=1):
        status, report = await prove(settings, [], as_json=True)
    proven = orjson.loads(report)
    assert (status, proven["open_holds"]) == (EQUAL, 0), report
    with gateway(file, workers=1):
        status, again = await prove(settings, [], as_json=True)
    assert orjson.loads(again)["days"] == proven["days"], "they are ended once"
    assert status == EQUAL


async def test_a_redis_that_has_lost_everything_is_told_what_all_workers_have_spent(
    tmp_path: Path, four_providers: Config, own_valkey: Callable[..., Valkey]
) -> None:
    """By whichever is asked first, from the others' files: none of them may be there yet."""
    valkey = own_valkey()
    file = configured(tmp_path, four_providers, state={"redis_url": valkey.url, "timeout_ms": 30_000})
    costs = []
    with gateway(file) as served:
        for n in range(EVERYWHERE):
            costs.append(Decimal((await ask(served, f"question {n}")).headers["x-thriftgate-cost-usd"]))
    valkey.flush()
    with gateway(file) as served:
        costs.append(Decimal((await ask(served, "another")).headers["x-thriftgate-cost-usd"]))
        standing = (await once(served, "GET", "/v1/thriftgate/budget", SHOP)).json()
    assert len(worker_folders(tmp_path / "state/ledger")) == WORKERS - 1
    (budget,) = standing["budgets"]
    assert Decimal(budget["usd"]["used"]) == sum(costs) > 0


async def test_all_workers_forget(tmp_path: Path, four_providers: Config, openai_upstream: loopback.Upstream) -> None:
    openai_upstream.always(loopback.Answer("the old answer"))
    with gateway(configured(tmp_path, four_providers)) as served:
        assert {"the old answer"} == {text_of(answer) for answer in await everywhere(served, "Hello")}
        openai_upstream.always(loopback.Answer("the new answer"))
        assert {"the old answer"} == {text_of(answer) for answer in await everywhere(served, "Hello")}
        deleted = await once(served, "DELETE", "/v1/thriftgate/cache", ADMIN)
        assert deleted.json() == {"deleted": 1}
        assert {"the new answer"} == {text_of(answer) for answer in await everywhere(served, "Hello")}


def text_of(answer: httpx.Response) -> str:
    return str(answer.json()["choices"][0]["message"]["content"])


async def test_a_reload_is_everybodys_or_nobodys(tmp_path: Path, four_providers: Config) -> None:
    new = {"authorization": "Bearer key-new"}
    file = configured(tmp_path, four_providers)
    with gateway(file) as served:
        good = yaml.safe_load(file.read_text())
        file.write_text(yaml.safe_dump({**good, "services": [{"name": "late", "key": "key-new"}], "surprise": 1}))
        refused = await once(served, "POST", "/v1/thriftgate/reload", ADMIN)
        assert refused.status_code == 400
        assert "`surprise`" in refused.json()["error"]["message"]
        assert {answer.status_code for answer in await everywhere(served, "Hello", new)} == {401}
        assert {answer.status_code for answer in await everywhere(served, "Hello")} == {200}
        assert await metric(served, 'config_reloads_total{result="refused"}') == 1
        await kill_one(served)
        assert {answer.status_code for answer in await everywhere(served, "Hello")} == {200}, "as the others serve"
        file.write_text(yaml.safe_dump({**good, "services": [{"name": "late", "key": "key-new"}]}))
        done = await once(served, "POST", "/v1/thriftgate/reload", ADMIN)
        assert done.json()["detail"] == f"services: 1, models: 4, workers: {WORKERS}"
        assert {answer.status_code for answer in await everywhere(served, "Hello", new)} == {200}
        assert {answer.status_code for answer in await everywhere(served, "Hello")} == {401}
        assert await metric(served, 'config_reloads_total{result="ok"}') == 1


async def test_sighup_reloads_all_workers(tmp_path: Path, four_providers: Config) -> None:
    file = configured(tmp_path, four_providers)
    with gateway(file) as served:
        good = yaml.safe_load(file.read_text())
        file.write_text(yaml.safe_dump({**good, "services": [{"name": "late", "key": "key-new"}]}))
        served.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(served.wait_for, "reloaded: services: 1, models: 4")
        while {answer.status_code for answer in await everywhere(served, "Hello")} != {401}:
            pass
        file.write_text("nonsense: 1\n")
        served.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(served.wait_for, "not reloaded: .*")


async def test_a_supervisor_that_is_killed_leaves_nobody(tmp_path: Path, four_providers: Config) -> None:
    with gateway(configured(tmp_path, four_providers)) as served:
        processes = children_of(served.process.pid)
        assert len(processes) == WORKERS + 1, "and a Valkey"
        served.kill()
        await ended(processes)
    with gateway(configured(tmp_path, four_providers)) as served:
        assert (await ask(served, "Hello")).status_code == 200


@pytest.mark.parametrize("workers", [1, WORKERS])
async def test_a_keep_alive_post_is_answered_at_once(tmp_path: Path, four_providers: Config, workers: int) -> None:
    """Nagle's algorithm would keep the body of each answer back until the head's delayed acknowledgement: 40 ms."""
    took_s = []
    with gateway(configured(tmp_path, four_providers), workers) as served:
        async with httpx.AsyncClient(base_url=served.url, timeout=60.0, trust_env=False, verify=False) as http:
            for _ in range(40):
                answer = await http.post("/v1/chat/completions", json=chat("Hello", TERRA), headers=SHOP)
                took_s.append(answer.elapsed.total_seconds())
    assert min(took_s) < 0.035


async def test_a_start_that_cannot_be_is_told_once(tmp_path: Path, four_providers: Config) -> None:
    """As of one process: a status of 1 and one line that names the mend."""
    file = configured(tmp_path, four_providers)
    keys = tmp_path / "state/keys.json"
    keys.parent.mkdir()
    keys.write_text("{")
    with pytest.raises(AssertionError, match=r"thriftgate: .*keys\.json"), gateway(file):
        raise RuntimeError("it must not be ready")
