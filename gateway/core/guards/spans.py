"""What is quoted or code is meant to the letter; so are operators."""

from __future__ import annotations

import re

from gateway.core.guards.reading import Reading

_SPAN = re.compile(r"`([^`\n]{1,400})`|\"([^\"\n]{1,400})\"|“([^”\n]{1,400})”|(?<!\w)'([^'\n]{1,400})'(?!\w)")
_EDGES = " \t.,;:!?"
_OPERATOR = re.compile(
    r"<=|>=|==|!=|&&|\|\||<<|>>|->|=>|\*\*|[<>=+*^|~]"
    r"|(?<=[\d )])[-−/](?= ?[\d(])|(?<=\d) ?[-−/] ?(?=\w)"
)


def quotes_disagree(asked: Reading, stored: Reading) -> str | None:
    """A quoted or code span that the other text does not contain, quoted or not."""
    for mine, theirs in ((asked, stored), (stored, asked)):
        for found in _SPAN.finditer(mine.lower):
            span = next(group for group in found.groups() if group is not None).strip(_EDGES)
            if span and span not in theirs.lower:
                return "quoted"
    return None


def operators_disagree(asked: Reading, stored: Reading) -> str | None:
    """A hyphen or slash counts only beside a figure: in `e-mail` and `Delhi/NCR` it is spelling."""
    return "operators" if _operators(asked.text) != _operators(stored.text) else None


def _operators(text: str) -> list[str]:
    return sorted(found.strip().replace("−", "-") for found in _OPERATOR.findall(text))
