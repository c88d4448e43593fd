"""The README's promise, on real parts: the shipped configuration, Valkey, qdrant-edge, MiniLM and SmolLM2."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from tests.fixtures.process import COMMAND, ROOT, Served, serving

QUESTION = "Name the capital city of France."
PARAPHRASE = "Name the capital city of France, please."
OTHER = "Name the capital city of Italy."


def ask(served: Served, text: str, **body: object) -> httpx.Response:
    request = {
        "model": "auto",
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 60,
        "temperature": 0,
        **body,
    }
    answer = httpx.post(f"{served.url}/v1/chat/completions", json=request, timeout=120.0, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer


def semantic_stores(served: Served) -> float:
    text = httpx.get(f"{served.url}/metrics", trust_env=False).text
    found = re.search(r'thriftgate_cache_stores_total\{layer="semantic",service="default"\} (\S+)', text)
    return float(found.group(1)) if found else 0.0


def test_the_same_question_hits_a_paraphrase_hits_by_meaning_and_another_misses(first_day: Served) -> None:
    first = ask(first_day, QUESTION)
    assert "Paris" in first.json()["choices"][0]["message"]["content"]
    assert first.headers["x-thriftgate-cache"] == "miss"
    assert first.headers["x-thriftgate-provider"] == "local"
    while semantic_stores(first_day) < 1:  # stored behind the answer; each round is a real request, not a sleep
        pass
    assert ask(first_day, QUESTION).headers["x-thriftgate-cache"] == "hit"
    by_meaning = ask(first_day, PARAPHRASE)
    assert by_meaning.headers["x-thriftgate-cache"] == "semantic-hit"
    assert float(by_meaning.headers["x-thriftgate-similarity"]) >= 0.95
    assert by_meaning.json()["choices"] == first.json()["choices"]
    assert ask(first_day, OTHER).headers["x-thriftgate-cache"] == "miss"


def test_the_sdk_gets_a_real_answer_whole_and_streamed(first_day: Served) -> None:
    client = OpenAI(base_url=f"{first_day.url}/v1", api_key="unused", max_retries=0)
    whole = client.chat.completions.create(
        model="auto:light", messages=[{"role": "user", "content": "Say hello."}], max_tokens=20
    )
    assert whole.choices[0].message.content
    assert whole.usage is not None
    assert whole.usage.completion_tokens > 0
    stream = client.chat.completions.create(
        model="local-model",
        messages=[{"role": "user", "content": "Name three colours."}],
        max_tokens=40,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks) > 1, "not one lump"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    client.close()


def test_embeddings_come_from_the_embedder_in_both_formats(first_day: Served) -> None:
    client = OpenAI(base_url=f"{first_day.url}/v1", api_key="unused", max_retries=0)
    packed = client.embeddings.create(model="all-MiniLM-L6-v2", input=["a cat", "a dog"])
    plain = client.embeddings.create(model="all-MiniLM-L6-v2", input="a cat", encoding_format="float")
    client.close()
    assert [len(row.embedding) for row in packed.data] == [384, 384]
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert packed.usage.prompt_tokens > plain.usage.prompt_tokens > 0


def test_readiness_names_what_is_absent(first_day: Served) -> None:
    report = httpx.get(f"{first_day.url}/readyz", trust_env=False)
    assert report.status_code == 200
    assert report.json()["absent"]["openai"] == "OPENAI_API_KEY is not set"
    assert httpx.get(f"{first_day.url}/healthz", trust_env=False).status_code == 200


def test_a_heavier_tier_than_there_is_says_so_in_a_header(first_day: Served) -> None:
    answer = ask(first_day, "Prove that there are infinitely many primes, by induction.", max_tokens=5)
    assert answer.headers["x-thriftgate-tier"] == "heavy"
    assert "no heavy model available" in answer.headers["x-thriftgate-route-reason"]


def test_the_documentation_describes_the_hot_routes(first_day: Served) -> None:
    document = httpx.get(f"{first_day.url}/openapi.json", trust_env=False).json()
    assert {"/v1/chat/completions", "/v1/embeddings", "/v1/models", "/readyz"} <= set(document["paths"])
    assert httpx.get(f"{first_day.url}/docs", trust_env=False).status_code == 200


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [*COMMAND, "--port", port, "--data-dir", str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr


def test_a_second_gateway_on_the_same_data_directory_is_refused(first_day: Served) -> None:
    command = [*COMMAND, "--port", "0", "--data-dir", str(first_day.data_dir)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert str(first_day.process.pid) in done.stderr
    assert "--data-dir" in done.stderr


def test_sigterm_ends_with_status_0_and_leaves_no_child(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        served.wait_for(r"\] ready$")
        children = children_of(served.process.pid)
        assert len(children) >= 2
        assert served.stop() == 0
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]
