"""Light, medium, heavy: how much model a prompt needs, decided by rules that say why.

Each rule that fires votes for light or for heavy with a weight. Heavy outvotes light, because a needless heavy answer
costs cents and a wrong light one costs the user's trust. When nothing fires the answer is medium: no signal is not a
light signal (elsewhere, chemistry, proofs and legal questions were scored "simple": litellm #39226).

The light words are few: of 6,215 prompts labelled by the data set they come from, 7 % were called light and 95 % of
those were labelled light; 12 % of all were put below their label, nearly all of them heavy ones called medium
(2026-11-23; accuracy .47). On 1,745 prompts labelled by hand: .44, with .14 too low. These weights are not trained;
`tier_model.classify` is, and takes their place where `routing.classifier` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.features import Features
from gateway.core.phrases import Phrases, beginnings


class Tier(StrEnum):
    LIGHT = "light"
    MEDIUM = "medium"
    HEAVY = "heavy"

    @property
    def rank(self) -> int:
        """0 for light, 2 for heavy."""
        return _RANK[self]


_RANK = {Tier.LIGHT: 0, Tier.MEDIUM: 1, Tier.HEAVY: 2}


@dataclass(frozen=True, slots=True)
class Classified:
    """A tier and why; the reasons go into a header, the log and `explain`."""

    tier: Tier
    reasons: tuple[str, ...]


Classify = Callable[[Features], Classified]


@dataclass(frozen=True, slots=True)
class _Rule:
    """Words (a pattern in lower case) that speak for a tier. A rule counts once, however often it matches."""

    label: str
    weight: int
    words: str


class _Rules:
    """All rules of one direction in one pattern, so that the text is read once and not once a rule."""

    def __init__(self, *rules: _Rule) -> None:
        self._rules = {f"rule{number}": rule for number, rule in enumerate(rules)}
        self._phrases = Phrases({name: rule.words for name, rule in self._rules.items()})

    def votes(self, question: str, words: Set[str]) -> tuple[int, list[str]]:
        """The sum of the weights, and the labels in the order of the rules. `words` are the question's `beginnings`."""
        found = frozenset(self._phrases.found(question, words))
        fired = [rule for name, rule in self._rules.items() if name in found]
        return sum(rule.weight for rule in fired), [rule.label for rule in fired]


_HEAVY = _Rules(
    _Rule(
        "proof",
        3,
        r"prove (?:that|it|the|there|this|by|or)|proof (?:of|that|by)|disprove|show that|theorem|lemma|by induction|"
        r"deriv(?:e|ation)",
    ),
    _Rule(
        "design",
        2,
        r"design (?:a|an|the)|architect(?:ure)?|refactor|migrat(?:e|ion)|trade-?offs?|from scratch|end-to-end",
    ),
    _Rule("debugging", 2, r"debug|race condition|deadlock|memory leak|root cause|segfault|why does (?:this|my) code"),
    _Rule("optimisation", 2, r"optimi[sz]e|time complexity|np-hard|dynamic programming|concurren(?:t|cy)|distributed"),
    _Rule(
        "expert domain",
        2,
        r"diagnos(?:e|is)|contraindicat\w+|contract|liabilit(?:y|ies)|statut(?:e|ory)|stoichiometr\w+|enthalpy|"
        r"reaction mechanism|differential equation|eigen\w+|integral|regression analysis|valuation",
    ),
    _Rule(
        "analysis", 2, r"analy[sz]e|critically|evaluate the|compare and contrast|in depth|comprehensive|rigorous(?:ly)?"
    ),
    _Rule("planning", 1, r"strategy|roadmap|business plan|step[- ]by[- ]step|multi-step"),
    _Rule("calculation", 1, r"calculate|compute|solve|probability|chances?|equations?|remainder|integers?|percent"),
    _Rule(
        "programming",
        1,
        r"python|java(?:script)?|typescript|rust|golang|sql|html|css|regex|api|algorithms?|"
        r"(?:write|implement) (?:a|the) (?:function|class|script|program)",
    ),
    _Rule(
        "law, health or chemistry",
        1,
        r"legal(?:ly)?|laws?|court|liable|copyright|landlord|tenants?|tax(?:es)?|symptoms?|dos(?:e|age)|medication|"
        r"pregnan(?:t|cy)|chemical|molecules?|reaction",
    ),
    _Rule("reasoning", 1, r"why|how (?:can|could|do|does|should|would)|explain|implications?|pros and cons|what if"),
)
# Narrow on purpose: "what is the …" may ask for anything, and "how many …" is usually a sum in disguise. Weight 2 is
# for work on a text, which the question brings along.
_LIGHT = _Rules(
    _Rule("greeting", 1, r"\A(?:hi|hello|hey|thanks|thank you|good (?:morning|evening))\b.{0,30}\Z"),
    _Rule(
        "lookup",
        1,
        r"\A(?:who|whose|when|where)(?! (?:should|would|could|can|may|shall|do i))|"
        r"what (?:year|country|city|colou?r|language)|"
        r"(?:capital|population|currency|plural|opposite|meaning|definition) of|stands? for",
    ),
    _Rule("translation", 2, r"translate|in (?:french|spanish|german|italian|portuguese)"),
    _Rule(
        "rewriting",
        2,
        r"rephrase|paraphrase|rewrite|proofread|(?:fix|correct) (?:the|my|any) (?:grammar|spelling|typos?)",
    ),
    _Rule("extraction", 2, r"extract|classify|categori[sz]e|sentiment|label (?:the|this)|spell|synonyms?|antonyms?"),
    _Rule("reading", 2, r"(?:from|in|to|on) the (?:text|passage|paragraph|article)|true or false"),
    _Rule("conversion", 1, r"convert \d[\d.,]*|how many (?:days|hours|minutes|seconds|inches|feet|grams) (?:are )?in"),
)

_SHORT_CHARS = 300
_TEXT_CHARS = 2_000
_LONG_CHARS = 6_000
_MANY_CONSTRAINTS = 5


def classify(features: Features) -> Classified:
    """The tier of one request; `reasons` is never empty."""
    question = features.question.strip().lower()
    words = beginnings(question)
    heavy, heavy_reasons = _HEAVY.votes(question, words)
    heavy += _structural(features, heavy_reasons)
    if heavy >= 3:
        return Classified(Tier.HEAVY, tuple(heavy_reasons))
    light, light_reasons = _LIGHT.votes(question, words)
    if heavy == 0 and light > 0 and _is_small(features, light):
        return Classified(Tier.LIGHT, tuple(light_reasons))
    return Classified(Tier.MEDIUM, tuple(heavy_reasons + light_reasons) or ("no signal",))


def _structural(features: Features, reasons: list[str]) -> int:
    """Weight of the signals that are not words; appends their reasons."""
    signals = (
        (features.code, 1, "code"),
        (features.maths, 1, "maths"),
        (features.constraints >= _MANY_CONSTRAINTS, 2, f"{features.constraints} constraints"),
        (features.question_chars > _LONG_CHARS, 2, f"{features.question_chars} characters"),
        (features.schema, 1, "JSON schema"),
        (features.tools > 0, 1, f"{features.tools} tools"),
        (features.images > 0, 1, f"{features.images} images"),
        (features.turns > 6, 1, f"{features.turns} turns"),
    )
    fired = [(weight, reason) for holds, weight, reason in signals if holds]
    reasons.extend(reason for _, reason in fired)
    return sum(weight for weight, _ in fired)


def _is_small(features: Features, light: int) -> bool:
    most_chars = _TEXT_CHARS if light > 1 else _SHORT_CHARS
    return features.question_chars <= most_chars and features.constraints <= 2
