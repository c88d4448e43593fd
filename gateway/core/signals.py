"""What can be counted in a prompt, by name: the router's inputs beside n-grams, and the words of its reasons.

One pass over the words, one over the characters, and a few patterns, whatever the number of signals; lists of words
are looked up, not matched. `SIGNALS` fixes the order of `signals()`; trained weights carry the names they know.
"""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np
import numpy.typing as npt

_LEXICON = {
    "function words": "a an the of to in and or is are was were be been being it its this that these those for on "
    "with as at by from he she they i you we his her their my your our but so do does did has have had there here "
    "into about",
    "'what'": "what",
    "'which'": "which",
    "people asked for": "who whose whom",
    "'how'": "how",
    "'why'": "why",
    "places and times": "when where",
    "quantities asked for": "many much",
    "negations": "not no never none neither nor except without cannot least incorrect false isn't aren't wasn't don't "
    "doesn't didn't won't can't couldn't wouldn't shouldn't",
    "conditions": "if unless suppose assume assuming given provided otherwise",
    "quantifiers": "all every each some any most few both either only exactly",
    "comparisons": "more less fewer than greater larger smaller higher lower twice half double triple times per ratio "
    "percent older younger longer",
    "calculation": "calculate compute solve find determine evaluate estimate equation probability average mean total "
    "sum remainder integer integers function derivative integral",
    "explaining": "explain describe discuss compare analyze analyse argue summarize summarise outline define",
    "making": "write create generate compose draft design make give provide list suggest name tell",
    "programming": "def class import python javascript java sql code program html css api bash",
    "units of time": "day days week weeks month months year years hour hours minute minutes second seconds",
    "constraints": "must should exactly only without ensure avoid include never always",
    "first person": "i me my we our us",
    "second person": "you your",
    "third person": "he she his her him they their them",
    "law": "court law laws legal statute defendant plaintiff contract liable liability crime constitution "
    "constitutional sue sued jury judge trial statutory property",
    "medicine": "patient patients disease symptom symptoms treatment clinical blood doctor cell cells dose drug drugs "
    "medical medication diagnosis syndrome virus therapy",
    "science": "energy force mass velocity acid reaction molecule molecules atom atoms electron electrons protein gene "
    "genes temperature voltage current theorem matrix group ring field graph set vector",
    "morals": "moral morally ethic ethics ethical wrong right justice virtue",
    "economy": "market price demand supply firm cost tax income rate bank investment monetary fiscal inflation gdp",
    "history": "war century king empire revolution treaty colonial ancient",
    "facts": "capital population author wrote born invented located called known refers term definition",
    "superlatives": "best most likely primary main mainly primarily following",
    "statements": "true false correct incorrect statement statements",
    "money": "dollar dollars cent cents $ € £",
    "question marks": "?",
    "commas": ",",
    "colons": ": ;",
    "brackets": "( ) [ ] { }",
    "quotation marks": '" “ ”',
}
_CATEGORIES = tuple(_LEXICON)
_BY_WORD: dict[str, list[int]] = {}
for _at, _words in enumerate(_LEXICON.values()):
    for _word in _words.split():
        _BY_WORD.setdefault(_word, []).append(_at)

_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:[.,]\d+)*|[^\w\s]")
_SENTENCE = re.compile(r"[.!?\n]+")
_OPTION = re.compile(r"^\(?[A-E][.)] (.*)$", re.MULTILINE)
_ITEM = re.compile(r"^[ \t]*(?:[-*•]|\d{1,2}[.)]|[A-Z][.)])[ \t]", re.MULTILINE)
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
_ACRONYM = re.compile(r"\b[A-Z]{2,}\b")
_FORMULA = re.compile(r"\\[a-z]+|[=^∫∑√≤≥∀∃×÷]|\d[ \t]*[+*/^-][ \t]*\d")
_PHRASE_WORDS = ("do not", "at least", "at most", "no more", "step by", "as json", "in the format")
_PHRASES = re.compile(r"\b(?:do not|at least|at most|no more than|step by step|as json|in the format)\b")
_OPENINGS = {
    "opens with 'what'": "what",
    "opens with 'which'": "which",
    "opens with 'who'": "who whose",
    "opens with 'how'": "how",
    "opens with 'why'": "why",
    "opens with an order": "write create give make list generate explain describe find tell design compose draft "
    "provide summarize translate rewrite convert answer identify name suggest",
    "opens with yes or no": "is are do does did can could should would will was were has have",
}
_SHAPE = (
    "length", "words", "word length", "long words", "very long words", "distinct words", "capitals", "digits",
    "other scripts", "signs", "sentence length", "longest sentence", "first sentence", "last sentence", "line length",
    "last line", "lines", "list items", "names", "acronyms", "formulas", "phrased rules", "blanks",
    "numbers", "share of numbers", "distinct numbers", "largest number", "decimals", "large numbers",
)  # fmt: skip
_OPTIONS = (
    "options", "option length", "uneven options", "numeric options", "alike options", "one-word options",
    "options in the question", "question before options",
)  # fmt: skip
SIGNALS: tuple[str, ...] = (
    *_SHAPE,
    *_OPTIONS,
    *_OPENINGS,
    *_CATEGORIES,
    *(f"share of {name}" for name in _CATEGORIES),
)
_NO_OPTIONS = (0.0,) * 7
_OPENING_WORDS = {word: at for at, words in enumerate(_OPENINGS.values()) for word in words.split()}
_CLASS_OF = np.array(
    [
        1 if sign.isupper() else 2 if sign.isdigit() else 0 if sign.isalnum() or sign.isspace() else 3
        for sign in map(chr, range(128))
    ],
    np.uint8,
)


def signals(text: str, length_chars: int) -> npt.NDArray[np.float32]:
    """The value of each of `SIGNALS`: logarithms of counts, or shares. `length_chars` is the length before `text` was
    cut. Linear in the text, and finite for any."""
    first = _OPTION.search(text)
    stem = text[: first.start(1)] if first else text
    options = _OPTION.findall(text, first.start()) if first else []
    stem_tokens = _TOKEN.findall(stem.lower())
    tokens = stem_tokens + _TOKEN.findall(text[len(stem) :].lower())
    often = Counter(tokens)
    words, shape = _vocabulary(often)
    values = [math.log1p(length_chars), *shape, *_characters(text), *_lines(text, words)]
    values += _numbers([token for token in tokens if token[0].isdigit()], len(tokens))
    asked = math.log1p(len(stem) if options else length_chars)
    values += [*(_chosen(options, stem_tokens) if options else _NO_OPTIONS), asked]
    opening = [0.0] * len(_OPENINGS)
    if tokens and tokens[0] in _OPENING_WORDS:
        opening[_OPENING_WORDS[tokens[0]]] = 1.0
    counts = np.zeros(len(_CATEGORIES))
    for word in often.keys() & _BY_WORD.keys():
        for category in _BY_WORD[word]:
            counts[category] += often[word]
    return np.concatenate([values, opening, np.log1p(counts), counts / max(1, len(tokens))], dtype=np.float32)


def _vocabulary(often: Counter[str]) -> tuple[int, list[float]]:
    """How many; and the signals of how many, how long, how varied."""
    words = letters = long = very_long = distinct = 0
    for word, count in often.items():
        if word[0].isalpha():
            length = len(word)
            words += count
            letters += count * length
            long += count * (length >= 8)
            very_long += count * (length >= 11)
            distinct += 1
    many = max(1, words)
    return words, [math.log1p(words), letters / many, long / many, very_long / many, distinct / many]


def _lines(text: str, words: int) -> list[float]:
    """Sentences, lines, and what is matched in them."""
    sentences = [part for part in _SENTENCE.split(text) if part.strip()] or [""]
    lines = [line for line in text.split("\n") if line.strip()] or [""]
    return [
        math.log1p(max(1, words) / len(sentences)),
        math.log1p(max(map(len, sentences))),
        math.log1p(len(sentences[0])),
        math.log1p(len(sentences[-1])),
        math.log1p(sum(map(len, lines)) / len(lines)),
        math.log1p(len(lines[-1])),
        math.log1p(len(lines)),
        *(math.log1p(len(pattern.findall(text))) for pattern in (_ITEM, _NAME, _ACRONYM, _FORMULA)),
        math.log1p(len(_PHRASES.findall(text)) if any(phrase in text for phrase in _PHRASE_WORDS) else 0),
        float("___" in text),
    ]


def _characters(text: str) -> list[float]:
    """Shares of capitals, digits, characters beyond ASCII, and signs."""
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    ascii_codes = codes[codes < 128]
    classes = np.bincount(_CLASS_OF[ascii_codes], minlength=4)
    many = max(1, len(codes))
    return [classes[1] / many, classes[2] / many, 1 - len(ascii_codes) / many if len(codes) else 0.0, classes[3] / many]


def _numbers(figures: list[str], tokens: int) -> list[float]:
    plain = [figure.replace(",", "") for figure in figures[:60]]
    values = {float(figure[:15]) for figure in plain if figure.count(".") < 2 and figure.isascii()}
    return [
        math.log1p(len(figures)),
        len(figures) / max(1, tokens),
        math.log1p(len(values)),
        math.log1p(max(values, default=0.0)),
        math.log1p(sum("." in figure for figure in figures)),
        math.log1p(sum(value >= 1000 for value in values)),
    ]


def _chosen(options: list[str], stem: list[str]) -> list[float]:
    """The choices of a multiple-choice question (`A. …` a line), and how they relate to what is asked, its stem."""
    lengths = [len(option) for option in options]
    words = [set(_TOKEN.findall(option.lower())) for option in options]
    union = set().union(*words)
    return [
        float(len(options)),
        math.log1p(sum(lengths) / len(options)),
        (max(lengths) - min(lengths)) / (1 + max(lengths)),
        sum(any(letter.isdigit() for letter in option) for option in options) / len(options),
        sum(map(len, words)) / max(1, len(union)),
        sum(len(option.split()) == 1 for option in options) / len(options),
        len(union.intersection(stem)) / max(1, len(union)),
    ]
