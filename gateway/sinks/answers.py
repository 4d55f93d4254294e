"""What each answer to a write means for the lines: the table of answers, pure.

Strategy: its first rule is that an answer that isn't clearly about the lines never costs a line.
What a proxy says as a web page, or what is wrong with the request as such (no such organization),
halts; only complaints about lines may lead to dead letters.

    204                             delivered; nothing else is
    400, 422, 201                   refused, where the words are about lines (201: some stored)
    413                             too large
    408, 425, 429, 499, 5xx         again, after Retry-After where given; smaller where the
                                    request may have taken too long
    everything else                 halted: 401, 403, 404, 405, 3xx, a 200 from a web server

Exceptions, each with its reason where it is made: errors of version 1 and 2.0 that are called
internal and never pass, a full disk called a bad request by version 3, a quota called 503.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus

from gateway.model import Deferred, Delivered, Halted, Receipt, Refused, TooLarge
from gateway.sinks import blame
from gateway.times import is_since_boot

MESSAGE_CHARS_MAX = 300
RETRY_AFTER_MAX_S = 600.0

_TRY_AGAIN = frozenset({408, 425, 429, 499, *range(500, 600)} - {501, 505, 511})
"""Not 501, 505 and 511: no such method, no such protocol, log in to this network."""

_TOOK_TOO_LONG = frozenset({408, 499, 500, 504, 524})
"""The time may have run out for the size: half of it can make it where the whole never will."""

_ABOUT_LINES = re.compile(
    r"partial write|unable to parse|pars(e|ing) (failed|error)|error parsing|field type conflict"
    r"|update to schema|outside (of )?(the )?retention",
    re.IGNORECASE,
)
"""Comes first: such complaints quote the bad line, and a line may contain the words below."""

_NEVER_STORED = re.compile(r"partial write: .*dropped=\d+", re.DOTALL)
"""Version 2.0 calls such a refusal an internal error (500)."""

_ABOUT_THE_SERVER = re.compile(
    r"error from wal|error from persister|catalog update error|\bgzip\b|\bEOF\b", re.IGNORECASE
)
"""Version 3's compatible paths call a full disk a bad request; a body may be cut on its way."""

_ABOUT_THE_REQUEST = re.compile(
    r"database is required|database name|consistency level|precision|authoriz|authentic"
    r"|\borg(anization)?\b|\bbucket\b|adding a new database would exceed",
    re.IGNORECASE,
)
"""Complaints with the status of a bad line that no other line would mend."""

_ALL_TOO_OLD = re.compile(r"\ball\b.*\bretention", re.IGNORECASE)
"""A cloud's 413: nothing in the batch is recent enough. Halves would be answered likewise."""

_QUOTA = re.compile(r"\bcardinality\b", re.IGNORECASE)

_CUT_DOCUMENT = re.compile(
    rb'\s*+\{(?:\s*+"\w++"\s*+:\s*+"(?:[^"\\]|\\.)*+"\s*+,)*?'
    rb'\s*+"(?:error|message)"\s*+:\s*+"(?P<words>(?:[^"\\]|\\.)*+)',
    re.DOTALL,
)
_CUT_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{0,3}$")


@dataclass(frozen=True)
class Answer:
    """An HTTP response as far as it matters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def document(self) -> dict[str, object]:
        """The body's JSON object; empty where it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @cached_property
    def bad_lines(self) -> list[Mapping[str, object]]:
        """Version 3's account of them: a list, or a single one where it gave up at the first."""
        data = self.document.get("data")
        lines = data if isinstance(data, list) else [data]
        return [line for line in lines if isinstance(line, dict) and "error_message" in line]

    @cached_property
    def message(self) -> str:
        """The server's words: version 2's `message`, else `error`, with the first bad line's."""
        if not self.document:
            text = self.body.decode("utf-8", "replace")
            return self.cut_message or re.sub(r"<[^>]*>", " ", text)
        said = (str(self.document.get(key) or "") for key in ("message", "error"))
        details = (str(line["error_message"]) for line in self.bad_lines)
        return ": ".join(filter(None, (next(filter(None, said), ""), next(details, ""))))

    @cached_property
    def cut_message(self) -> str:
        """What is left of a complaint about lines in a JSON object whose end is missing.

        Version 1 quotes each bad line: with thousands of them no answer is read to its end.
        """
        found = _CUT_DOCUMENT.match(self.body)
        if found is None:
            return ""
        text = _CUT_ESCAPE.sub("", found["words"].decode("utf-8", "ignore"))
        try:
            message = str(json.loads(f'"{text}"', strict=False))
        except ValueError:
            return ""
        return f"{message}…" if about_lines(message) else ""

    @property
    def complaint(self) -> str:
        """Status and words for the operator."""
        location = self.headers.get("Location", "")
        redirect = f" redirects to {location}" if location else ""
        return words(f"HTTP {self.status}{redirect}: {self.message}").rstrip(": ")

    @property
    def is_page(self) -> bool:
        """From a web server or a proxy rather than from a database."""
        return self.body.lstrip()[:1] == b"<"


def judge(answer: Answer, now_s: float, lines: Sequence[bytes] = ()) -> Receipt:
    """What the server's answer to a write of the lines means for them."""
    status = answer.status
    if status == HTTPStatus.NO_CONTENT:
        return Delivered()
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return _judge_size(answer, lines)
    if "retention policy not found" in answer.message:  # version 1 calls it an internal error
        return Halted(answer.complaint)
    if status in _TRY_AGAIN:
        return _judge_trouble(answer, now_s, lines)
    # A 400 that isn't JSON comes from a proxy, not from InfluxDB.
    is_json = bool(answer.document or answer.cut_message)
    if (status in {201, 422} and not answer.is_page) or (
        status == HTTPStatus.BAD_REQUEST and is_json
    ):
        return _judge_complaint(answer, lines)
    return Halted(answer.complaint)


def about_lines(message: str) -> bool:
    """Whether the words can only be about lines. Others may be about the request as well."""
    return _ABOUT_LINES.search(message) is not None


def words(text: str) -> str:
    """One line of bounded length."""
    return " ".join(text[: 4 * MESSAGE_CHARS_MAX].split())[:MESSAGE_CHARS_MAX]


def _judge_size(answer: Answer, lines: Sequence[bytes]) -> Receipt:
    if answer.is_page or not _ALL_TOO_OLD.search(answer.message):
        return TooLarge(answer.complaint)
    message = words(answer.message)
    return Refused(answer.status, message, dict.fromkeys(range(len(lines)), message))


def _judge_trouble(answer: Answer, now_s: float, lines: Sequence[bytes]) -> Receipt:
    status = answer.status
    if status == HTTPStatus.INTERNAL_SERVER_ERROR and _NEVER_STORED.search(answer.message):
        return _judge_complaint(answer, lines)
    if _QUOTA.search(answer.message):  # called 503 or 429, and passes only with another contract
        return Halted(answer.complaint)
    after_s = _retry_after_s(answer.headers.get("Retry-After", ""), now_s)
    return Deferred(answer.complaint, after_s, smaller=status in _TOOK_TOO_LONG)


def _judge_complaint(answer: Answer, lines: Sequence[bytes]) -> Receipt:
    message = answer.message
    if not about_lines(message):
        if _ABOUT_THE_SERVER.search(message):
            return Deferred(answer.complaint)
        if _ABOUT_THE_REQUEST.search(message):
            return Halted(answer.complaint)
    first = {"line_number": answer.document.get("line"), "error_message": message}
    guilty = blame.guilty(lines, message, [first, *answer.bad_lines])
    return Refused(
        answer.status,
        words(message),
        {index: words(reason) for index, reason in guilty.items()},
        () if guilty else blame.suspects(lines, message),
    )


def _retry_after_s(text: str, now_s: float) -> float | None:
    """Seconds from either form of Retry-After, a number or a date; None where it is neither.

    A date says nothing while there is no time of day.
    """
    if not text.isdigit() and is_since_boot(round(now_s * 1e9)):
        return None
    try:
        seconds = float(text) if text.isdigit() else parsedate_to_datetime(text).timestamp() - now_s
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)
