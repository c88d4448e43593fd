from __future__ import annotations

import math
import random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.onnx_embedder import OnnxEmbedder
from gateway.adapters.sign_screen import MOST, SignScreen
from gateway.core.verify import verify

DIMENSIONS = 384


def unit(values: list[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in values))
    return [value / length for value in values]


def random_unit(chance: random.Random, dimensions: int = DIMENSIONS) -> list[float]:
    return unit([chance.gauss(0, 1) for _ in range(dimensions)])


def at_cosine(vector: list[float], cosine: float, chance: random.Random) -> list[float]:
    """A unit vector at exactly this cosine, in a random direction from it."""
    other = random_unit(chance, len(vector))
    along = sum(x * y for x, y in zip(vector, other, strict=True))
    across = unit([y - along * x for x, y in zip(vector, other, strict=True)])
    sine = math.sqrt(1 - cosine * cosine)
    return [cosine * x + sine * y for x, y in zip(vector, across, strict=True)]


def name(number: int) -> str:
    return str(UUID(int=number))


def holding(vectors: list[list[float]], scope: str = "scope") -> SignScreen:
    screen = SignScreen(len(vectors[0]))
    screen.add([(scope, name(number), vector) for number, vector in enumerate(vectors)])
    return screen


@given(st.integers(0, 2**32), st.floats(0.95, 0.999), st.sampled_from([64, 100, 384, 768]))
def test_what_reaches_the_threshold_is_let_through(seed: int, cosine: float, dimensions: int) -> None:
    chance = random.Random(seed)
    stored = random_unit(chance, dimensions)
    assert holding([stored]).near("scope", at_cosine(stored, cosine, chance), 0.95) == {UUID(int=0)}


def test_what_is_unrelated_is_not() -> None:
    chance = random.Random(1)
    screen = holding([random_unit(chance) for _ in range(2_000)])
    assert screen.near("scope", random_unit(chance), 0.95) == set()


def test_another_scope_is_never_let_through() -> None:
    stored = random_unit(random.Random(2))
    screen = holding([stored], scope="one")
    screen.add([("two", name(7), stored)])
    assert screen.near("one", stored, 0.95) == {UUID(int=0)}
    assert screen.near("two", stored, 0.95) == {UUID(int=7)}
    assert screen.near("three", stored, 0.95) == set()


def test_of_too_many_near_ones_the_nearest_are_let_through() -> None:
    chance = random.Random(3)
    asked = random_unit(chance)
    crowd = [at_cosine(asked, 0.96, chance) for _ in range(5 * MOST)]
    screen = holding([*crowd, asked])
    near = screen.near("scope", asked, 0.95)
    assert len(near) == MOST
    assert UUID(int=len(crowd)) in near


def test_it_grows_without_losing_what_it_has() -> None:
    chance = random.Random(4)
    vectors = [random_unit(chance) for _ in range(700)]
    screen = SignScreen(DIMENSIONS)
    for number, vector in enumerate(vectors):
        screen.add([("scope", name(number), vector)])
    for number in (0, 255, 256, 511, 512, 699):
        assert screen.near("scope", vectors[number], 0.99) == {UUID(int=number)}


@pytest.mark.parametrize("dimensions", [1, 4, 63, 65])
def test_any_number_of_dimensions_will_do(dimensions: int) -> None:
    stored = random_unit(random.Random(5), dimensions)
    assert holding([stored]).near("scope", stored, 0.95) == {UUID(int=0)}


QUESTION = "How many days does the post office take to deliver a letter"


async def test_real_paraphrases_pass_and_other_questions_do_not(minilm: OnnxEmbedder) -> None:
    asked = [f"{QUESTION} to {place}?" for place in ("France", "Japan", "Peru", "Kenya")]
    polite = [f"{question} Thank you." for question in asked]
    vectors = await minilm.embed([*asked, *polite, "Why is the sky blue?"])
    screen = holding(vectors[:4])
    for number, vector in enumerate(vectors[4:8]):
        assert verify(asked[number], polite[number]).ok
        assert UUID(int=number) in screen.near("scope", vector, 0.9)
    assert screen.near("scope", vectors[8], 0.95) == set()
