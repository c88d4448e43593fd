"""Who does what to whom, and which way: the same words in another order."""

from __future__ import annotations

from gateway.core.guards.lexicon import LIGHT, words
from gateway.core.guards.reading import Reading, Word, stem

_SYMMETRIC = frozenset(
    stem(word)
    for word in words(
        """
        and or nor vs versus between married marry wed dating engaged near next close related similar different differ
        difference same equal distance compare comparison friend sibling cousin neighbour neighbor partner twin together
        connected linked acquaintance
        """
    )
)
"""Links whose two sides may change places."""

_PREPOSITIONS = words("from to in at on for of by with into onto against after before over under than via through")
_TO_BE = words("am is are was were be been being get gets got")
_IRREGULAR = words(
    "sold told made held led met hit cut put built sent spent lost kept left paid won shot read sung begun done"
)
_GENDER = {"he": "m", "him": "m", "his": "m", "himself": "m", "she": "f", "her": "f", "hers": "f", "herself": "f"}


def roles_disagree(asked: Reading, stored: Reading) -> str | None:
    """The same people, things or pronouns in another role."""
    if _pronouns_differ(asked, stored):
        return "pronouns"
    mine, theirs = _agent(asked), _agent(stored)
    if mine is not None and theirs is None:
        return "active and passive" if _same_order(asked, stored, mine) else None
    if theirs is not None and mine is None:
        return "active and passive" if _same_order(stored, asked, theirs) else None
    return "order" if _swapped(asked, stored) or _swapped(stored, asked) else None


def _pronouns_differ(asked: Reading, stored: Reading) -> bool:
    """`he … her` against `she … him`; or a pronoun in one text where the other repeats a name."""
    mine, theirs = _genders(asked), _genders(stored)
    if mine == theirs:
        return False
    if len(mine) == len(theirs):
        return True
    fewer, more = (asked, stored) if len(mine) < len(theirs) else (stored, asked)
    return _repeated_names(fewer) > _repeated_names(more)


def _genders(reading: Reading) -> list[str]:
    return [_GENDER[word.text] for word in reading.words if word.text in _GENDER]


def _repeated_names(reading: Reading) -> int:
    names = [word.stem for word in reading.words if word.name]
    return len(names) - len(set(names))


def _agent(reading: Reading) -> int | None:
    """Where the doer of a passive stands: the first weighty word after `by` that follows a participle."""
    if "by" not in reading.stems or reading.stems.isdisjoint(_TO_BE):
        return None
    sequence = reading.words
    for at in range(2, len(sequence) - 1):
        if sequence[at].text == "by" and _participle(sequence[at - 1].text):
            return next((after for after in range(at + 1, len(sequence)) if _weighty(sequence[after])), None)
    return None


def _participle(text: str) -> bool:
    return text.endswith(("ed", "en", "wn", "ght")) or text in _IRREGULAR


def _weighty(word: Word) -> bool:
    return word.name or (word.text not in LIGHT and word.text not in _PREPOSITIONS)


def _same_order(passive: Reading, active: Reading, agent: int) -> bool:
    """In an active sentence the doer stands first; if it still stands last, the two have changed places."""
    patient = next((word for word in passive.words[:agent] if _weighty(word) and word.stem in active.stems), None)
    places, doer = _places(active), passive.words[agent].stem
    return patient is not None and doer in places and doer != patient.stem and places[doer] > places[patient.stem]


def _swapped(asked: Reading, stored: Reading) -> bool:
    """Two names (or, if both texts have just the same words, any two weighty words) have changed places."""
    if not (asked.stems.isdisjoint(_SYMMETRIC) and stored.stems.isdisjoint(_SYMMETRIC)):
        return False
    permuted = sorted(word.stem for word in asked.words) == sorted(word.stem for word in stored.words)
    places = _places(stored)
    before: tuple[int, int] | None = None
    for at, word in enumerate(asked.words):
        there = places.get(word.stem)
        if there is None or word.number or not (word.name or (permuted and _weighty(word))):
            continue
        if before is not None and there < before[1] and not _moved_whole(asked, stored, before, (at, there)):
            return True
        before = at, there
    return False


def _places(reading: Reading) -> dict[str, int]:
    """Where each stem stands first."""
    return {word.stem: at for at, word in reversed(list(enumerate(reading.words)))}


def _moved_whole(asked: Reading, stored: Reading, *pairs: tuple[int, int]) -> bool:
    """One of them kept its preposition (`in India, how …`): a phrase moved, and nothing changed places."""
    return any(_preposition(asked, here) == _preposition(stored, there) != "" for here, there in pairs)


def _preposition(reading: Reading, at: int) -> str:
    """The preposition that opens this word's phrase, at most three words back; empty when there is none."""
    behind = reversed(reading.words[max(0, at - 3) : at])
    return next((word.text for word in behind if word.text in _PREPOSITIONS), "")
