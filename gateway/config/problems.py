"""What is wrong with a configuration, one line each: where, what was found, what is allowed.

    serial[1] "arduino": bytesize: found 9; allowed: 5, 6, 7 or 8

A place is a dotted path of keys, which is always right, and never a line number, which TOML's
parser does not tell for a value. What was found is shown as it stands in the file, before
`${NAME}` is replaced, and not at all where it may be a secret.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from pydantic import ValidationError

from gateway.config.schema import Loc, allowed, keys_at, node_at
from gateway.nearest import did_you_mean

PROBLEMS_MAX: Final = 100
"""Nobody reads more, and a wrong file could have hundreds of thousands."""

_FOUND_MAX: Final = 60
_LINE_MAX: Final = 500
_SECRET_KEYS: Final = frozenset({"token", "password"})
_NAMED_TABLES: Final = frozenset({"serial", "mqtt"})
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


class Problem(NamedTuple):
    """One thing that is wrong; `found` asks for the value to be shown."""

    loc: Loc
    words: str
    found: bool = True


def unknown_key(loc: Loc, known: Iterable[str]) -> Problem:
    return Problem(loc, f"unknown key{did_you_mean(str(loc[-1]), known)}", found=False)


def missing_key(loc: Loc, because: str = "") -> Problem:
    words = f"missing{because}; allowed: {allowed(node_at(loc))}"
    return Problem(loc, words, found=False)


def from_validation(error: ValidationError) -> Iterator[Problem]:
    """The models' findings, in our words."""
    for found in error.errors(include_url=False):
        loc = found["loc"]
        kind = found["type"]
        if loc and loc[-1] == "[key]":
            yield Problem(loc[:-1], str(found["ctx"]["error"]), found=False)
        elif kind == "missing":
            yield missing_key(loc)
        elif kind == "extra_forbidden":
            yield unknown_key(loc, keys_at(loc[:-1]))
        elif kind == "unknown_name":
            nearest = did_you_mean(str(found["input"]), found["ctx"]["known"])
            yield Problem(loc, f"{found['msg']}{nearest}")
        elif kind == "value_error":
            yield Problem(loc, str(found["ctx"]["error"]))
        else:
            yield Problem(loc, f"allowed: {_allowed_at(loc)}")


def _allowed_at(loc: Loc) -> str:
    words = allowed(node_at(loc))
    if len(loc) == 1:
        header = f"[[{loc[0]}]]" if words == "a list of tables" else f"[{loc[0]}]"
        return f"{words}, headed {header}"
    return words


def render(problems: Iterable[Problem], raw: Mapping[str, object]) -> list[str]:
    """One line per place, in the order of the file.

    Args:
        problems: of several about one place, the first stays: the others follow from it.
        raw: the file as it is written, before `${NAME}` is replaced.
    """
    sections = list(raw)

    def position(problem: Problem) -> tuple[int, int]:
        section, *rest = problem.loc
        index = rest[0] if rest and isinstance(rest[0], int) else -1
        return (sections.index(section) if section in sections else len(sections), index)

    first: dict[Loc, Problem] = {}
    rest = ""
    for problem in problems:
        if len(first) == PROBLEMS_MAX:
            rest = f"more than {PROBLEMS_MAX} problems: mend these first"
            break
        first.setdefault(problem.loc, problem)
    ordered = sorted(first.values(), key=position)
    return [_line(problem, raw) for problem in ordered] + ([rest] if rest else [])


def _line(problem: Problem, raw: Mapping[str, object]) -> str:
    found = _shown(problem.loc, _value_at(raw, problem.loc)) if problem.found else None
    words = problem.words if found is None else f"found {found}; {problem.words}"
    line = f"{path_text(problem.loc, raw)}: {words}"[:_LINE_MAX]
    return line if line.isprintable() else line.encode("unicode_escape").decode("ascii")


def path_text(loc: Loc, raw: Mapping[str, object]) -> str:
    """`serial[1] "arduino": fields.temp_f.unit`: entries of a list also by their name."""
    name = _value_at(raw, (*loc[:2], "name")) if loc[0] in _NAMED_TABLES else None
    if len(loc) > 2 and isinstance(name, str) and name and loc[2] != "name":  # noqa: PLR2004
        return f"{dotted(loc[:2])} {_quoted(name)}: {dotted(loc[2:])}"
    return dotted(loc)


def dotted(loc: Sequence[str | int]) -> str:
    text = ""
    for step in loc:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step if _BARE_KEY.fullmatch(step) else _quoted(step)}"
    return text.removeprefix(".")


class _Absent:
    """What a path leads to that leads nowhere."""


def _value_at(raw: object, loc: Loc) -> object:
    for step in loc:
        items = dict(enumerate(raw)) if isinstance(raw, list) else raw
        if not isinstance(items, dict) or step not in items:
            return _Absent
        raw = items[step]
    return raw


def _shown(loc: Loc, value: object) -> str | None:
    """The value for the operator's eyes; None where there is none to show."""
    if value is _Absent or not _SECRET_KEYS.isdisjoint(loc):
        return None
    if isinstance(value, str):
        return _shown_text(value, address=loc[-1] == "url")
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return str(value).lower()
    is_huge = isinstance(value, int) and abs(value) >= 10**_FOUND_MAX
    return "a very large number" if is_huge else str(value)


def _shown_text(text: str, *, address: bool) -> str | None:
    """A text, unless it may carry credentials (`user:password@`, `?token=`)."""
    has_credentials = ":" in text.rpartition("@")[0]
    return None if has_credentials or (address and re.search(r"[@?#]", text)) else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text if len(text) <= _FOUND_MAX else f"{text[:_FOUND_MAX]}...")
