"""What `sensor-gateway spool` and `dead-letters` print.

Lines and the server's words come from outside, and a terminal obeys control characters: they are
written as escapes, so that what a line holds can be told.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from gateway.console.render import duration
from gateway.console.status import iso_time
from gateway.ledger import LINES_WENT
from gateway.sinks.line_protocol import flaw
from gateway.spool.desk import Letter, LetterGroup, SpoolLook, line_bytes
from gateway.times import is_since_boot

_TIME_AT_THE_END = re.compile(r" (-?\d{1,19})$")
_ROOM = {
    "free": "yes",
    "limit": "no: the limit is reached, see [spool] when_full",
    "disk": "no: the disk is nearly full",
}
_INDENT = " " * 8


class LetterList(NamedTuple):
    """What `dead-letters list` shows."""

    look: SpoolLook
    selected: int
    """How many letters there are of the wanted ones."""
    groups: list[LetterGroup]
    """By the server's words; empty where all letters are listed."""
    letters: list[Letter]
    """The latest first."""


def render_look(look: SpoolLook, now_ns: int) -> Iterator[str]:
    """Line by line: a name, and what there is to say."""
    totals, space = look["totals"], look["space"]
    yield f"spool     {escaped(look['path'])}"
    lines, size = look["pending_lines"], byte_size(look["pending_bytes"])
    yield f"pending   {lines} lines, {size}, in {look['rows']} rows"
    if look["held_lines"]:
        yield f"held      {look['held_lines']} of these lines, until the time of day is known"
    for name, at_ns in (("oldest", look["oldest_ns"]), ("newest", look["newest_ns"])):
        if at_ns:
            yield f"{name}    committed {_time(at_ns)}{_ago(at_ns, now_ns)}"
    came = _sum(totals, ("spooled", "retried"))
    yield f"lines     {came} = {_sum(totals, LINES_WENT)}"
    yield f"letters   {_letters(look)}"
    yield f"corrupt   {look['corrupt_rows']} rows kept for inspection"
    used = space["file"] - space["free_pages"] + space["log"]
    yield f"limit     {byte_size(used)} of {byte_size(space['max'])} used"
    yield f"files     {byte_size(space['file'])}, and a log of {byte_size(space['log'])}"
    free, kept_free = byte_size(space["disk_free"]), byte_size(space["min_free"])
    yield f"disk      {free} free, of which {kept_free} stay free"
    yield f"room      {_ROOM[look['room']]}"


def render_letters(found: LetterList) -> Iterator[str]:
    """The totals, groups where not all are listed, and the latest letters."""
    yield _letters(found.look)
    if found.groups:
        yield ""
        yield "By the server's words:"
        for group in found.groups:
            yield from _group(group)
        yield ""
        yield f"The latest {len(found.letters)} of {found.selected}:"
    elif found.letters:
        yield ""
    for letter in found.letters:
        words = f"{_time(letter['at_ns'])}  {letter['status']}  {escaped(letter['message'])}"
        yield f"{letter['id']:>6}  {words}"
        yield f"{_INDENT}{escaped(letter['line'])}"
    if found.letters:
        yield ""
        yield f"More of one: sensor-gateway dead-letters show {found.letters[0]['id']}"


def render_letter(letter: Letter) -> Iterator[str]:
    """Everything about one."""
    yield f"dead letter  {letter['id']}"
    yield f"died         {_time(letter['at_ns'])}"
    yield f"status       {letter['status'] or 'none: it was not sent'}"
    yield f"words        {escaped(letter['message'])}"
    if found := _TIME_AT_THE_END.search(letter["line"]):
        yield f"observed     {_time(int(found[1]))}"
    yield f"line         {escaped(letter['line'])}"
    why = flaw(line_bytes(letter["line"]))
    yield f"retry        {f'only with --line: the line {why}' if why else 'possible as it is'}"


def exported(letter: Letter) -> bytes:
    """Two lines of a file that InfluxDB takes: a comment, and the line."""
    at, words = iso_time(letter["at_ns"]) or "", escaped(letter["message"])
    comment = f"# {letter['id']} {at} {letter['status']} {words}\n"
    line = line_bytes(letter["line"]).replace(b"\n", b"\\n")  # only in a damaged one
    return comment.encode("utf-8", "replace") + line + b"\n"


def letters_as_text(found: LetterList) -> str:
    return as_text(
        {
            "counts": found.look["letters"],
            "selected": found.selected,
            "groups": [
                _without(group, "first_ns", "last_ns")
                | {"first_at": iso_time(group["first_ns"]), "last_at": iso_time(group["last_ns"])}
                for group in found.groups
            ],
            "letters": [
                _without(letter, "at_ns") | {"at": iso_time(letter["at_ns"])}
                for letter in found.letters
            ],
        }
    )


def as_text(content: object) -> str:
    return json.dumps(content, indent=2)


def escaped(text: str) -> str:
    """Nothing that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def cut(line: str, width: int | None) -> str:
    """The line, no wider than that."""
    if width is None or cell_len(line) <= width:
        return line
    return set_cell_size(line, width - 1) + "\N{HORIZONTAL ELLIPSIS}"


def byte_size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:  # noqa: PLR2004
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _letters(look: SpoolLook) -> str:
    counts, totals = look["letters"], look["totals"]
    return (
        f"{counts['kept']} dead letters kept, {byte_size(counts['kept_bytes'])}; of "
        f"{totals['dead']} lines that died {totals['retried']} were retried, "
        f"{counts['dropped']} dropped, {counts['forgotten']} forgotten"
    )


def _group(group: LetterGroup) -> Iterator[str]:
    yield f"{group['count']:>6} x  {group['status']}  {escaped(group['message'])}"
    times = f"{_time(group['first_ns'])} to {_time(group['last_ns'])}"
    yield f"{_INDENT} {group['first']} to {group['last']}, {times}, the last one:"
    yield f"{_INDENT} {escaped(group['line'])}"


def _sum(counts: Mapping[str, int], names: tuple[str, ...]) -> str:
    return " + ".join(f"{counts[name]} {name}" for name in names)


def _time(at_ns: int) -> str:
    """Local, as it is on the clock of whoever reads it."""
    if is_since_boot(at_ns):
        return "before the time of day was known"
    try:
        return f"{datetime.fromtimestamp(at_ns // 10**9).astimezone():%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return f"{at_ns} ns"


def _ago(at_ns: int, now_ns: int) -> str:
    return "" if is_since_boot(at_ns) else f", {duration(max(now_ns - at_ns, 0) / 1e9)} ago"


def _without(content: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in content.items() if name not in names}
