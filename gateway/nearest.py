"""The known word nearest to an unknown one."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_LISTED_MAX: Final = 20
"""More names than this are noise."""

_WORD_MAX: Final = 64
"""A longer text is no misspelt name, and comparing it would take long."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The most similar known word in any case, else one that begins like it, else None."""
    folded: dict[str, str] = {}
    for name in known:
        folded.setdefault(name.casefold(), name)
    text = word.casefold()
    if not text or len(text) > _WORD_MAX:
        return None
    matches = get_close_matches(text, folded, n=1)
    matches += [name for name in folded if name.startswith(text) or text.startswith(name)]
    return folded[matches[0]] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?`, else the whole list where it is short, else nothing."""
    names = list(known)
    match = nearest(word, names)
    if match is not None:
        return f'; did you mean "{match}"?'
    return f"; known: {', '.join(names)}" if 0 < len(names) <= _LISTED_MAX else ""
