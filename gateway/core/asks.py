"""What a prompt asks for, by name: kinds of work, subjects, form. The tier classifier's own inputs beside `signals`.

Words are looked up and not matched, so one pass over them is enough however many kinds there are. A word counts where
it stands: at the beginning and the end of a prompt it says what is wanted, in between often only what it is about.
Tiers are also asked for in languages other than English; the commonest words for stories, poems, proofs and code in
a dozen of them are here, and what script a prompt is in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

_LEXICON = {
    "stories": "story stories novel fanfic fanfiction tale chapter narrative scene plot encounter premise "
    "episode рассказ историю история сказку câu-chuyện truyện cuento historia novela histoire roman "
    "geschichte storia príběh opowieść fantasy anime protagonist",
    "verse": "poem poems lyrics lyric song songs rap haiku limerick verse verses chorus sonnet rhyme "
    "rhymes rhyming stanza stanzas стих стихотворение poema poème poesía thơ estrofas canción rhythm "
    "ballad",
    "scripts": "script dialogue dialog monologue screenplay transcript speech skit interview standup "
    "diálogo conversation roleplay role-play act-as pretend simulate simulation narrator",
    "persona": "you-are act-as expert experienced professional senior specialist consultant as-an assistant",
    "style": "style tone voice funny humor humour humorous comedy sarcastic witty emotional inspirational "
    "catchy engaging creative imaginative vivid",
    "wordplay": "joke jokes pun puns riddle riddles twister proverb motto slogan hook hooks title titles "
    "tagline caption captions haiku",
    "length asked for": "long detailed verbose comprehensive in-depth thorough extensive ultra "
    "descriptive full complete entire full-length words pages expressive",
    "brevity asked for": "short brief briefly concise concisely simple simply quick quickly one-sentence tldr one-word",
    "letters": "email e-mail letter linkedin tweet post announcement invitation message signature resume review reply",
    "documents": "essay article report plan proposal outline syllabus guide blog agenda template "
    "checklist document section paragraph budget itinerary curriculum survey questionnaire presentation "
    "slide description",
    "lists": "list lists ideas idea example examples suggest suggestions recommend recommendations "
    "brainstorm come-up tips ways options names some give-me top",
    "home": "recipe recipes cook cooking ingredients dish dishes exercise exercises workout routine hack "
    "clean meal dinner lunch bake food pet garden travel trip",
    "rewriting": "rewrite rephrase paraphrase proofread correct grammar grammatical spelling improve "
    "polish reword edit convert shorten simplify modify change turn-into перепиши",
    "translating": "translate translation french spanish german italian chinese japanese arabic hindi "
    "korean english переведи",
    "summaries": "summarize summarise summary summarizing sum-up condense tldr main-idea mainly-about "
    "nutshell best-title gist highlights",
    "classifying": "classify classification categorize category categories sentiment label detect "
    "identify predict positive negative neutral decide determine tell-me output yes no true false "
    "paraphrase duplicates genre relevant toxic offensive stars bias stereotype",
    "extracting": "extract retrieve parse select fill replace find-the pos entities synonyms synonym "
    "antonyms antonym pronunciation pronounce underlined given word words sentence sentences phrase blank "
    "mask",
    "a text to read": "passage paragraph context document article background text plot bio reviewer "
    "according-to based-on the-following following read author conversation claim facts",
    "looking up": "who whose when where what-year which-country which-city name-of capital population "
    "called known founded invented born released album actor actress singer band",
    "what is": "what-is what's what-are what-was what-were what-does what-do definition define meaning stands-for",
    "how to": "how-do how-to how-can how-does how-did how-could can-i can-you is-there are-there do-i "
    "should-i why-do why-does why-is why-are why-did",
    "explaining": "explain describe discuss difference between compare contrast pros cons advantages "
    "disadvantages why implications impact factors объясни explica explique",
    "supposing": "what-if imagine suppose assume assuming hypothetical scenario fictional alternate would-you",
    "judging": "opinion best-way good-idea think rank advice suitable better worth rational ethical moral "
    "feedback evaluate assess critique analyze analyse analysis",
    "proving": "prove proof disprove show-that derive derivation lemma theorem induction justify "
    "convergence closed-under rigorous corollary докажи доказать",
    "mathematics": "polynomial integral derivative antiderivative matrix matrices vector vectors "
    "eigenvalue eigenvalues prime primes divisor divisors mod modulo integer integers remainder root "
    "roots equation equations triangle circle perpendicular parallel tangent logarithm sequence "
    "coefficient permutations combinations probability expected variance distribution deviation posterior "
    "bayesian subset subsets lcm gcd multiple fraction solve simplify compute calculate frac sqrt sum int "
    "begin textbf log уравнение вероятность phương-trình ecuación función",
    "contests": "relatively-prime how-many positive-integers real-numbers ordered codeforces leetcode "
    "constraints test-cases time-limit memory-limit mod pmatrix circumcircle inscribed divisible digits "
    "olympiad",
    "word problems": "how-many how-much how-long how-old how-far each twice half total left times per "
    "altogether dollars spend earn cost price bought sold",
    "physics": "velocity acceleration energy force mass proton electron quantum momentum eigenstate "
    "photon spin kinetic thermodynamic adiabatic pressure voltage current circuit resistance capacitor "
    "magnetic relativity star stellar orbit wavelength frequency spectroscopy radius angular torque m/s "
    "kg hz turbine nuclear particle",
    "chemistry and life": "molecule molecular reaction nmr benzene carbonyl enolate catalyst compound "
    "acid peptide enzyme protein gene genes plasmid genome dna rna receptor pathway cell cells mutation "
    "strain assay organic alkene",
    "medicine": "patient patients diagnosis diagnosed therapy treatment dose mg symptom symptoms clinical "
    "physician syndrome anemia history-of examination disease drug medication surgery",
    "law and money": "defendant plaintiff statute court contract liable liability seller buyer murder "
    "felony constitutional amendment landlord deed easement tax cpa audit auditor interest loan portfolio "
    "stock dividend forecast sue legal law investors equity valuation shareholders",
    "moral scenes": "scenarios clearly-morally morally",
    "house puzzles": "houses-in houses-are lives-in",
    "puzzles": "puzzle puzzles logic logical trick reasoning step-by furthest crossword chess fen "
    "lipogram palindrome anagram exactly without-using letter",
    "code": "code function program method class api algorithm implement implementation regex query sql "
    "html css python java javascript typescript kotlin swift rust golang php ruby perl matlab bash shell "
    "powershell lua vba excel latex json yaml numpy pandas pytorch tensorflow react vue angular node "
    "django flask docker linux git ubuntu windows server database array string loop variable код скрипт "
    "программу coding programming component int return import def const let var void public static self "
    "null",
    "exercise code": "write-a python-function function-to function-that check-whether find-the given-list "
    "given-string given-array tuple sort sorted array list string number numbers elements",
    "special libraries": "unity unreal shader kubernetes k8s terraform ansible vault spring hibernate ros "
    "opencv cuda qt qml ktor swiftui compose textual plasma autogen langchain transformers huggingface "
    "playwright cypress selenium redis kafka etcd cmake nuke pyside drupal wordpress arduino esp32 cortex "
    "opengl vulkan webgl websocket grpc graphql hive spark airflow cvxpy pulp gan arima solidity "
    "blockchain defi rsa aes crypto tkinter pygame excel cluster gpu bluetooth driver kernel firmware "
    "embedded",
    "systems": "concurrent concurrency thread threads threading async asynchronous atomic multiprocessing "
    "parallel deadlock efficient efficiently efficiency optimize optimise optimized optimization "
    "performance scalable distributed complexity architecture framework design-pattern best-practices "
    "refactor production secure security encrypt decrypt advanced app application game bot gui interface "
    "features robust dynamic dynamically optimal memory",
    "bugs": "bug bugs error errors fix debug issue issues wrong fails failed exception traceback warning "
    "doesn't not-work not-working problem ошибка problems",
    "research": "research literature scholarly citations apa annotated theoretical methodology hypothesis "
    "academic phd paper papers thesis novel invent strategy strategic stakeholders business requirements "
    "specification model models modelling data dataset study framework",
    "sources": "links link sources source references cite url website statistics http https",
    "going on": "continue complete expand extend rest next продолжение transition",
    "conditions": "must should ensure avoid include make-sure do-not don't never always only each every "
    "format following rules requirements respond response output",
    "other languages": "que una para los las por como del uma não com pour dans les des avec une est und "
    "der die das mit ist che per nella della jest jak dla yang dan dengan untuk bir ve için trong của và "
    "cho một là người с и на в не что как для это по из",
}
_KINDS = tuple(_LEXICON)
_OF_WORD: dict[str, tuple[int, ...]] = {}
_OF_PAIR: dict[str, tuple[int, ...]] = {}
for _at, _words in enumerate(_LEXICON.values()):
    for _word in _words.split():
        _table = _OF_PAIR if "-" in _word else _OF_WORD
        _key = _word.replace("-", " ", 1)
        _table[_key] = (*_table.get(_key, ()), _at)

_WORD = re.compile(r"[^\W_]+(?:['/][^\W_]+)*")
_OPENING_WORDS, _CLOSING_WORDS = 12, 30
_CODE_LINE = re.compile(
    r"[;{}][ \t]*$|^[ \t]*(?:def|class|import|from|return|if|for|while|const|let|var|public|private|#include|SELECT)\b"
    r"|^(?: {4,}|\t+)\S",
    re.MULTILINE,
)
_HEADER = re.compile(r"^[ \t]*(?:#{1,4} |\*\*|\[\w|[A-Z][\w ]{2,20}:[ \t]*$)", re.MULTILINE)
_DISPLAY = re.compile(r"\$[^$\n]{1,80}\$|\\[\[(a-z]")
_WORD_STEPS = (4, 8, 15, 30, 60, 120, 240)
_FORM = (
    "code lines", "share of code lines", "headers", "formulas", "length beyond what is read", "ends with a question",
    "opens in lower case", "kana and han", "hangul", "cyrillic", "other non-latin", "accents", "lone question",
    *(f"more than {step} words" for step in _WORD_STEPS),
)  # fmt: skip
ASKS: tuple[str, ...] = (
    *_KINDS,
    *(f"opens with {kind}" for kind in _KINDS),
    *(f"closes with {kind}" for kind in _KINDS),
    *_FORM,
)


def asks(text: str, length_chars: int) -> npt.NDArray[np.float32]:
    """The value of each of `ASKS`: logarithms of counts, flags and shares. `length_chars` is the length before `text`
    was cut. Linear in the text."""
    words = _WORD.findall(text.lower())
    found = _kinds_of(words)
    opening, closing = _flags(found, 0, _OPENING_WORDS), _flags(found, len(words) - _CLOSING_WORDS, len(words))
    counts = [0] * len(_KINDS)
    for _, kinds in found:
        for kind in kinds:
            counts[kind] += 1
    return np.array([*map(math.log1p, counts), *opening, *closing, *_form(text, len(words), length_chars)], np.float32)


def _kinds_of(words: Sequence[str]) -> list[tuple[int, tuple[int, ...]]]:
    """Where a word, or a pair of words that begins there, is of some kinds."""
    found = [(at, _OF_WORD[word]) for at, word in enumerate(words) if word in _OF_WORD]
    pairs = map(" ".join, pairwise(words))
    return found + [(at, _OF_PAIR[pair]) for at, pair in enumerate(pairs) if pair in _OF_PAIR]


def _flags(found: Sequence[tuple[int, tuple[int, ...]]], first: int, end: int) -> list[float]:
    flags = [0.0] * len(_KINDS)
    for at, kinds in found:
        if first <= at < end:
            for kind in kinds:
                flags[kind] = 1.0
    return flags


def _form(text: str, words: int, length_chars: int) -> list[float]:
    lines = text.count("\n") + 1
    code = len(_CODE_LINE.findall(text))
    stripped = text.rstrip()
    return [
        math.log1p(code),
        code / lines,
        math.log1p(len(_HEADER.findall(text))),
        math.log1p(len(_DISPLAY.findall(text))),
        math.log1p(max(0, length_chars - len(text))),
        float(stripped.endswith("?")),
        float(text.lstrip()[:1].islower()),
        *_scripts(text),
        float(words <= 12 and stripped.endswith("?")),
        *(float(words > step) for step in _WORD_STEPS),
    ]


def _scripts(text: str) -> list[float]:
    """Shares of the characters: kana and han, hangul, Cyrillic, other scripts, Latin letters with marks."""
    if text.isascii():
        return [0.0] * 5
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    edges = np.array([0x80, 0x250, 0x400, 0x530, 0x1E00, 0x1F00, 0x3040, 0xA000, 0xAC00, 0xD7B0], np.uint32)
    counts = np.bincount(np.searchsorted(edges, codes, "right"), minlength=len(edges) + 1) / len(codes)
    return [counts[7], counts[9], counts[3], counts[2] + counts[4] + counts[8], counts[1] + counts[5]]
