"""What a command may ask of the spool, as plain data: looking, retrying, dropping, exporting.

Strategy: every answer is short, so that commits go on in between: what is long comes in pages, each
saying where the next one begins, and what changes much changes it in steps, each a transaction of
its own. The running gateway answers in its store's thread; where none runs, a command asks the file
itself, by the same functions. Limits: PAGE_LETTERS and PAGE_BYTES; a page has at least one letter
or row.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from inspect import signature
from math import isinf
from typing import Any, Literal, TypedDict

from gateway.errors import GatewayError
from gateway.model import DeadLetter
from gateway.sinks.line_protocol import flaw
from gateway.spool import letters
from gateway.spool.letters import KeptLetter, Selection
from gateway.spool.rows import LINES, LOWEST, is_intact
from gateway.spool.store import Spool

PAGE_LETTERS = 1_000
PAGE_BYTES = 512 * 1024
EXAMPLE_BYTES = 1_000
QUOTED_MIN = 20
QUOTED = "..."
"""Stands for what differs from letter to letter though the server means the same."""
_DROPPED = re.compile(r"(?<=\bdropped=)\d+")


class SpoolLook(TypedDict):
    """The spool at a glance. Times are nanoseconds since 1970."""

    path: str
    pending_lines: int
    pending_bytes: int
    rows: int
    oldest_ns: int | None
    """When the oldest pending row was committed."""
    newest_ns: int | None
    held_lines: int
    """Pending, too, but not in `rows`: they wait until the time of day is known."""
    corrupt_rows: int
    """Kept for inspection."""
    totals: dict[str, int]
    letters: dict[str, int]
    space: dict[str, int]
    room: Literal["free", "limit", "disk"]
    """What is in the way of more: nothing, the operator's limit, or a disk that is nearly full."""


class LinesPage(TypedDict):
    """Pending lines."""

    lines: list[str]
    corrupt: int
    """Rows on the way that cannot be read."""
    last: int | None
    """Where the next page goes on; None: this was the end."""


class Letter(TypedDict):
    """A dead letter."""

    id: int
    at_ns: int
    status: int
    message: str
    line: str
    """Bytes that are no UTF-8 as lone surrogates, see `line_text`."""


class LettersPage(TypedDict):
    """Dead letters in the order of their numbers."""

    letters: list[Letter]
    last: int | None


class LetterGroup(TypedDict):
    """Dead letters with the same words."""

    status: int
    message: str
    count: int
    first: int
    last: int
    first_ns: int
    last_ns: int
    line: str
    """Of the last one, its beginning."""


class GroupsPage(TypedDict):
    """Groups of a page of letters; groups of later pages with the same words belong to them."""

    groups: list[LetterGroup]
    last: int | None


class Measure(TypedDict):
    """How much is selected."""

    count: int
    highest: int
    """The highest number."""


class Step(TypedDict):
    """What a step of a change has done."""

    done: int
    refused: list[tuple[int, str]]
    """Numbers, and why they stay as they are."""
    last: int | None


def look(spool: Spool) -> SpoolLook:
    with spool.reading() as db:
        ends = db.execute(
            "SELECT count(*), (SELECT committed_ns FROM rows ORDER BY seq LIMIT 1),"
            " (SELECT committed_ns FROM rows ORDER BY seq DESC LIMIT 1) FROM rows"
        ).fetchone()
        corrupt = db.execute("SELECT count(*) FROM corrupt_rows").fetchone()[0]
        held = db.execute(f"SELECT total({LINES}) FROM held").fetchone()[0]  # noqa: S608
    totals = spool.totals()
    return {
        "path": str(spool.path),
        "pending_lines": totals.pending,
        "pending_bytes": spool.pending_bytes(),
        "rows": ends[0],
        "oldest_ns": ends[1],
        "newest_ns": ends[2],
        "held_lines": int(held),
        "corrupt_rows": corrupt,
        "totals": asdict(totals),
        "letters": spool.letter_counts()._asdict(),
        "space": spool.space(),
        "room": _room(spool.pressure()),
    }


def lines(spool: Spool, after: int = LOWEST) -> LinesPage:
    """Pending lines after row `after`; nothing is taken away, corrupt rows are left where they are.

    Rows that are delivered meanwhile are missing from the next page; held lines have no time yet.
    """
    found: list[str] = []
    corrupt = size = 0
    last: int | None = None
    with (
        spool.reading() as db,
        closing(
            db.execute(
                "SELECT seq, CAST(lines AS INTEGER), crc, coalesce(CAST(body AS BLOB), x'') "
                "FROM rows WHERE seq > ? ORDER BY seq",
                (after,),
            )
        ) as rows,
    ):
        for seq, count, crc, body in rows:
            last = seq
            if is_intact(seq, count, crc, body):
                found += map(line_text, body.split(b"\n"))
            else:
                corrupt += 1
            size += len(body)
            if size >= PAGE_BYTES:
                break
    return {"lines": found, "corrupt": corrupt, "last": last}


def find(spool: Spool, wanted: Selection, after: int = LOWEST) -> LettersPage:
    found = _page(spool, wanted, after)
    return {"letters": list(map(_letter, found)), "last": _last(found)}


def newest(spool: Spool, wanted: Selection, limit: int) -> list[Letter]:
    """The latest first."""
    with spool.reading() as db:
        found = letters.find(
            db, wanted, limit=min(limit, PAGE_LETTERS), max_bytes=PAGE_BYTES, newest=True
        )
    return list(map(_letter, found))


def groups(spool: Spool, wanted: Selection, after: int = LOWEST) -> GroupsPage:
    found = _page(spool, wanted, after)
    by_words: dict[tuple[int, str], LetterGroup] = {}
    for number, at_ns, letter in found:
        words = _words(letter)
        group = by_words.setdefault(
            (letter.status, words),
            {
                "status": letter.status,
                "message": words,
                "count": 0,
                "first": number,
                "last": number,
                "first_ns": at_ns,
                "last_ns": at_ns,
                "line": "",
            },
        )
        group["count"] += 1
        group["last"], group["last_ns"] = number, at_ns
        group["line"] = line_text(letter.line[:EXAMPLE_BYTES])
    return {"groups": list(by_words.values()), "last": _last(found)}


def measure(spool: Spool, wanted: Selection) -> Measure:
    with spool.reading() as db:
        count, highest = letters.measure(db, wanted)
    return {"count": count, "highest": highest}


def retry(spool: Spool, wanted: Selection, after: int = LOWEST) -> Step:
    """Put some of the letters after `after` back for delivery; those with a flaw stay."""
    found = _page(spool, wanted, after)
    flaws = [(kept, flaw(kept.letter.line)) for kept in found]
    good = [(kept, kept.letter.line) for kept, why in flaws if not why]
    if good:
        spool.retry(good)
    refused = [(kept.id, why) for kept, why in flaws if why]
    return {"done": len(good), "refused": refused, "last": _last(found)}


def mend(spool: Spool, number: int, line: str) -> Step:
    """Put one letter back with another line."""
    new = line_bytes(line)
    if why := flaw(new):
        raise GatewayError(f"the new line {why}")
    found = _page(spool, Selection((number,)), LOWEST)
    if found:
        spool.retry([(found[0], new)])
    return {"done": len(found), "refused": [], "last": _last(found)}


def drop(spool: Spool, wanted: Selection, after: int = LOWEST) -> Step:
    """Delete some of the letters after `after`."""
    found = _page(spool, wanted, after)
    if found:
        spool.drop(found)
    return {"done": len(found), "refused": [], "last": _last(found)}


PUTS_BACK = {"retry", "mend"}
"""After these there is something to deliver."""

_QUESTIONS: Mapping[str, Callable[..., object]] = {
    "look": look,
    "lines": lines,
    "find": find,
    "newest": newest,
    "groups": groups,
    "measure": measure,
    "retry": retry,
    "mend": mend,
    "drop": drop,
}


def answer(spool: Spool, question: str, arguments: Mapping[str, Any]) -> object:
    """Answer a question that came as JSON.

    Raises:
        GatewayError: it is none of those above, or cannot be done.
        StoreError: the disk refuses.
    """
    arguments = dict(arguments)
    try:
        function = _QUESTIONS[question]
        if "wanted" in arguments:
            ids, message, up_to = arguments["wanted"]
            arguments["wanted"] = Selection(tuple(ids), message, up_to)
        bound = signature(function).bind(spool, **arguments)
    except (KeyError, TypeError, ValueError) as error:
        raise GatewayError(
            "the running gateway does not know this command: it is of another version; restart it"
        ) from error
    return function(*bound.args, **bound.kwargs)


def line_text(line: bytes) -> str:
    """For JSON; what is no UTF-8 survives, too."""
    return line.decode("utf-8", "surrogateescape")


def line_bytes(text: str) -> bytes:
    """The reverse. Raises GatewayError where no bytes give such a text."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise GatewayError("the line is no text") from error


def _page(spool: Spool, wanted: Selection, after: int) -> list[KeptLetter]:
    with spool.reading() as db:
        return letters.find(db, wanted, after=after, limit=PAGE_LETTERS, max_bytes=PAGE_BYTES)


def _room(pressure: float) -> Literal["free", "limit", "disk"]:
    if isinf(pressure):
        return "disk"
    return "limit" if pressure >= 1 else "free"


def _last(found: Sequence[KeptLetter]) -> int | None:
    return found[-1].id if found else None


def _letter(kept: KeptLetter) -> Letter:
    number, at_ns, (line, status, message) = kept
    return {
        "id": number,
        "at_ns": at_ns,
        "status": status,
        "message": message,
        "line": line_text(line),
    }


def _words(letter: DeadLetter) -> str:
    """The server's words without what is this letter's alone.

    That is the line itself, which some servers repeat, cut or whole, and how many were refused
    together with it.
    """
    line = " ".join(letter.line.decode("utf-8", "replace").split())
    if line and line in letter.message:
        return letter.message.replace(line, QUOTED)
    before, start, rest = letter.message.partition(line[:QUOTED_MIN])
    if start and line.startswith(start + rest):
        return before + QUOTED
    return _DROPPED.sub(QUOTED, letter.message)
