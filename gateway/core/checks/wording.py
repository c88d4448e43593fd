"""Words that an answer must have, must not have, must begin or end with; and the script it must be written in."""

from __future__ import annotations

import re
from collections.abc import Iterator

_QUOTE = r"(?:\"[^\"\n]{1,80}\"|“[^”\n]{1,80}”|'[^'\n]{1,80}')"
_QUOTES = rf"(?P<quotes>{_QUOTE}(?:(?:,? and |,? or |, ?| ){_QUOTE}){{0,9}})"
_NOUN = r"(?:the |these |following )*(?:exact )?(?:words?|phrases?|keywords?|terms?|strings?|sentences?):? "
_INCLUDE = re.compile(rf"\b(?:must |should |to )?(?:include|mention|use|contain)s? {_NOUN}{_QUOTES}")
_FORBID = re.compile(
    rf"\b(?:(?:do not|don['’]t|never|must not|should not) (?:use|mention|include|say|write)|"
    rf"without (?:using|mentioning|saying)|avoid(?: using)?) {_NOUN}{_QUOTES}"
)
_YOURS = r"(?: (?:your|the) (?:\w+ )?(?:answer|response|reply|message|output|text))?"
_BEGIN = re.compile(rf"\b(?:start|begin){_YOURS} with (?:{_NOUN})?(?P<quotes>{_QUOTE})")
_END = re.compile(rf"\b(?:end|finish|conclude){_YOURS} with (?:{_NOUN})?(?P<quotes>{_QUOTE})")
_NEGATED = re.compile(r"(?:not|n['’]t|never|without|avoid)\W+(?:\w+\W+){0,2}\Z")
_ONE_QUOTE = re.compile(_QUOTE)

_SCRIPTS = {
    "russian": "\u0400-\u04ff", "ukrainian": "\u0400-\u04ff", "bulgarian": "\u0400-\u04ff",
    "chinese": "\u3400-\u9fff", "mandarin": "\u3400-\u9fff", "japanese": "\u3040-\u30ff\u3400-\u9fff",
    "korean": "\uac00-\ud7af", "arabic": "\u0600-\u06ff", "persian": "\u0600-\u06ff", "urdu": "\u0600-\u06ff",
    "hebrew": "\u0590-\u05ff", "greek": "\u0370-\u03ff", "hindi": "\u0900-\u097f", "thai": "\u0e00-\u0e7f",
}  # fmt: skip
_LANGUAGE = re.compile(
    r"\b(?:answer|respond|reply|write|translat\w+|explain|summari[sz]e|say)\b[^.?!\n]{0,80}?\b(?:in|to|into) "
    rf"(?P<language>{'|'.join(_SCRIPTS)})\b"
)
_IN_LATIN = re.compile(r"translitera|romani[sz]|romaji|pinyin|latin (?:letters|script|alphabet)|pronounc")


def wording_fault(question: str, answer: str) -> str | None:
    """`question` in lower case, with single spaces. A question about a word is not an order to use it."""
    said = answer.lower()
    for pattern, wanted, fault in (
        (_INCLUDE, True, "a required phrase is missing"),
        (_FORBID, False, "a forbidden phrase is there"),
    ):
        for found in _orders(pattern, question):
            if wanted and _NEGATED.search(question, 0, found.start()):
                continue
            if any(_has(said, phrase) != wanted for phrase in _phrases(found)):
                return fault
    plain = re.sub(r"\A[\W_]+|[\W_]+\Z", "", said)
    if any(not plain.startswith(_bare(phrase)) for found in _orders(_BEGIN, question) for phrase in _phrases(found)):
        return "does not begin as asked"
    if any(not plain.endswith(_bare(phrase)) for found in _orders(_END, question) for phrase in _phrases(found)):
        return "does not end as asked"
    return None


def script_fault(question: str, answer: str) -> str | None:
    """Only a language with a script of its own can be told so surely: none of its letters is in the answer."""
    found = _LANGUAGE.search(question)
    if found is None or _IN_LATIN.search(question):
        return None
    return None if re.search(f"[{_SCRIPTS[found['language']]}]", answer) else f"no letter of {found['language']}"


def _orders(pattern: re.Pattern[str], question: str) -> Iterator[re.Match[str]]:
    for found in pattern.finditer(question):
        end = re.compile(r"[.!?\n]").search(question, found.end())
        if end is None or end[0] != "?":
            yield found


def _phrases(found: re.Match[str]) -> list[str]:
    return [quoted[1:-1].strip() for quoted in _ONE_QUOTE.findall(found["quotes"])]


def _has(said: str, phrase: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(phrase.rstrip('.,!?;:'))}(?!\w)", said) is not None


def _bare(phrase: str) -> str:
    return re.sub(r"\A[\W_]+|[\W_]+\Z", "", phrase)
