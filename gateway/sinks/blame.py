"""Which of the lines a complaint is about, so that one bad line in 10,000 costs few requests.

Strategy: two kinds of answers to "who was it?", both pure.

* `guilty` are named: by number (version 3), by their text (`unable to parse '<line>': ...`), or all
  of them (`dropped=N` of N lines). Delivery sends them once more, together; what is named again
  is dead.
* `suspects` only fit the words: lines with the field whose type conflicts, the oldest N where N
  are beyond the retention policy. They are sent apart from the others and die only as guilty.

A wrong suspicion costs a request, never a line. Where neither finds anybody, delivery halves.
"""

import re
from collections.abc import Mapping, Sequence

from gateway.sinks.line_protocol import ESCAPED_MEASUREMENT, ESCAPED_NAME

_QUOTED = "unable to parse '"
_END = b"': "

_DROPPED = re.compile(r"\bdropped=(\d+)(?: for database: .*)?\s*$")
"""At the very end, where no line is quoted."""
_TAIL_CHARS = 1_000

_CONFLICT = re.compile(
    r'field type conflict: input field "(?P<field>.+)" on measurement "(?P<measurement>.+)"'
    r" is type (?P<type>\w+), already exists as type"
)
_RETENTION = re.compile(r"\bretention policy\b", re.IGNORECASE)
_LINE_NUMBER = re.compile(r"\bline (\d+)(?: \(1-based\)|:\d+)")

_VALUES = {
    "float": r"-?[\d.][\d.eE+-]*(?=[, ])",
    "integer": r"-?\d+i",
    "boolean": r"[tTfF]",
    "string": '"',
}


def guilty(
    lines: Sequence[bytes], message: str, details: Sequence[Mapping[str, object]]
) -> dict[int, str]:
    """The lines that the server names, by index, each with the words about it."""
    if dropped(message) == len(lines) and _one_row_each(lines):
        return dict.fromkeys(range(len(lines)), message)
    return _numbered(lines, details) or _quoted(lines, message)


def suspects(lines: Sequence[bytes], message: str) -> list[int]:
    """Indices of lines that fit the complaint; maybe too many, maybe none."""
    if conflict := _CONFLICT.search(message):
        return _of_that_type(lines, conflict)
    if _RETENTION.search(message):
        return _oldest(lines, dropped(message))
    named = _LINE_NUMBER.search(message)
    index = int(named[1][:9]) - 1 if named else -1
    return [index] if 0 <= index < len(lines) else []


def dropped(message: str) -> int:
    """How many lines the server says that it did not store; 0 where it doesn't say."""
    found = _DROPPED.search(message[-_TAIL_CHARS:])
    return int(found[1][:9]) if found and "partial write: " in message else 0


def _one_row_each(lines: Sequence[bytes]) -> bool:
    """A newline within a text may count as the end of a line: then numbers mean nothing."""
    return not any(b"\n" in line for line in lines)


def _numbered(lines: Sequence[bytes], details: Sequence[Mapping[str, object]]) -> dict[int, str]:
    if not _one_row_each(lines):
        return {}
    found = {}
    for detail in details:
        number = detail.get("line_number")
        if isinstance(number, int) and 0 < number <= len(lines):
            found[number - 1] = str(detail.get("error_message", ""))
    return found


def _quoted(lines: Sequence[bytes], message: str) -> dict[int, str]:
    """Lines quoted in full, in their order, one complaint after the other.

    Whatever the quoted lines contain, nothing in them is taken for the next complaint: each is
    skipped as a whole. The first complaint that quotes none of the lines ends the search.
    """
    if any(_END in line for line in lines):
        return {}  # where a quotation ends would be a guess
    found: dict[int, str] = {}
    at = message.find(_QUOTED)
    for index, line in enumerate(lines):
        if at < 0:
            break
        start = at + len(_QUOTED)
        text = (line + _END).decode("utf-8", "replace")
        if message.startswith(text, start):
            words = start + len(text)
            following = message.find("\n" + _QUOTED, words)
            reason = message[words:] if following < 0 else message[words:following]
            found[index] = _DROPPED.sub("", reason[-_TAIL_CHARS:]).strip()
            at = following if following < 0 else following + 1
    return {index: f"unable to parse: {reason}" for index, reason in found.items() if reason}


def _of_that_type(lines: Sequence[bytes], conflict: re.Match[str]) -> list[int]:
    """Lines of the measurement that give the field such a value."""
    value = _VALUES.get(conflict["type"])
    if value is None:
        return []
    measurement = re.escape(conflict["measurement"].translate(ESCAPED_MEASUREMENT))
    field = re.escape(conflict["field"].translate(ESCAPED_NAME))
    pattern = re.compile(f"{measurement}[, ](?:.*[, ])?{field}={value}".encode(), re.DOTALL)
    return [index for index, line in enumerate(lines) if pattern.match(line)]


def _oldest(lines: Sequence[bytes], count: int) -> list[int]:
    times = []
    for index, line in enumerate(lines):
        text = line.rpartition(b" ")[2]
        if text.lstrip(b"-").isdigit():
            times.append((int(text), index))
    return sorted(index for _, index in sorted(times)[:count])
