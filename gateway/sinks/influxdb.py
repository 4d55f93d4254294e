"""InfluxDB 1, 2 and 3 over HTTP: one write path for ready lines, and what each answer means.

Strategy: influxdb-client's write helper speaks version 2 only, so ready bytes go through its API
client to `/write`, `/api/v2/write` or `/api/v3/write_lp`. Answers are taken raw
(`_preload_content=False`): only 204 is success, where the library also takes 201; at most
`ANSWER_BYTES_MAX` of an answer are read, because servers echo bad lines; and the library's error
parser, which installs a handler on the root logger, never runs. `call_api` is not a documented
interface: `tests/sinks` and `tests/integration` hold it to what is used here.

`judge` is the table of answers, pure. Its first rule: an answer that isn't clearly about the
lines never costs a line. What a proxy says as a web page, or what is wrong with the request as
such (no such organization), halts; only JSON complaints may lead to dead letters.
"""

import gzip
import json
import os
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientTimeout,
)
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync

from gateway.errors import ConfigError, TransportError
from gateway.model import Deferred, Delivered, Halted, Receipt, Refused, TooLarge
from gateway.times import is_since_boot

ANSWER_BYTES_MAX = 256 * 1024
QUERY_BYTES_MAX = 64 * 1024 * 1024
MESSAGE_CHARS_MAX = 300
RETRY_AFTER_MAX_S = 600.0
GZIP_BYTES_MIN = 1024
"""Below one packet compression saves nothing."""

_TRY_AGAIN = frozenset({408, 425, 429, 499, 500, 502, 503, 504})

_ABOUT_LINES = re.compile(
    r"partial write|unable to parse|pars(e|ing) (failed|error)|error parsing|field type conflict",
    re.IGNORECASE,
)
"""Comes first: such complaints quote the bad line, and a line may contain the words below."""

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


@dataclass(frozen=True, slots=True)
class InfluxTarget:
    """Where to write. Version 1 and 3 name a database, version 2 an organization and a bucket."""

    version: int
    url: str
    database: str = ""
    retention_policy: str = ""
    org: str = ""
    bucket: str = ""
    token: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    timeout_s: float = 10.0
    verify_ssl: bool = True
    ca_file: str = ""


class Answer(NamedTuple):
    """An HTTP response as far as it matters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class InfluxSink:
    """A `Sink`; also the few questions that commands ask. Enter it within the running loop."""

    def __init__(self, target: InfluxTarget, now_ns: Callable[[], int]) -> None:
        self._target = target
        self._now_ns = now_ns
        self._path, self._parameters = _write_path(target)
        self._headers = _authorization(target)
        self._client: InfluxDBClientAsync

    async def __aenter__(self) -> Self:
        target = self._target
        try:
            self._client = InfluxDBClientAsync(
                target.url,
                timeout=ClientTimeout(total=target.timeout_s),
                allow_redirects=False,
                verify_ssl=target.verify_ssl,
                ssl_ca_cert=target.ca_file or None,
            )
        except OSError as error:
            raise ConfigError([f"influxdb.ca_file: {target.ca_file}: {error}"]) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]

    async def write(self, lines: Sequence[bytes]) -> Receipt:
        """Send the lines in one request. Cancelled: they may be stored or not; replay is safe."""
        body = b"\n".join(lines)
        receipt = await self._write(body)
        if self._target.version == 1:
            if isinstance(receipt, Halted) and "database not found" in receipt.problem:
                try:
                    await self.ensure_database()
                except TransportError as error:
                    return Halted(_words(f"{receipt.problem}; creating it failed: {error}"))
                receipt = await self._write(body)
            if isinstance(receipt, Refused) and receipt.message == "field type conflict":
                # A conflict within a batch that opens a new shard loses all of that shard's
                # lines. Now that the shard exists, the same batch loses only what conflicts.
                receipt = await self._write(body)
        return receipt

    async def _write(self, body: bytes) -> Receipt:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if len(body) >= GZIP_BYTES_MIN:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, 1, mtime=0)
        try:
            answer = await self._call("POST", self._path, self._parameters, headers, body)
        except ClientConnectorCertificateError as error:
            return Halted(_words(f"{self._where()}: certificate not trusted: {error}"))
        except TimeoutError:
            return Deferred(f"{self._where()}: no answer within {self._target.timeout_s:g} s")
        except (ClientError, OSError) as error:
            return Deferred(_words(f"{self._where()}: {_why(error)}"))
        return judge(answer, now_s=self._now_ns() / 1e9)

    async def ping(self) -> str:
        """The server's version, or TransportError with the words of whoever answered."""
        answer = await self._ask("GET", "/ping", [])
        version = answer.headers.get("X-Influxdb-Version") or _document(answer).get("version")
        return str(version or "unknown")

    async def ensure_database(self) -> None:
        """Create version 1's database if it isn't there; versions 2 and 3 need no such help."""
        name = self._target.database.replace("\\", "\\\\").replace('"', '\\"')
        await self.query_v1(f'CREATE DATABASE "{name}"')

    async def query_v1(self, query: str) -> list[dict[str, object]]:
        """Rows of an InfluxQL query: columns and tags by name, times as integer nanoseconds."""
        parameters = [("db", self._target.database), ("epoch", "ns"), ("q", query)]
        answer = await self._ask("POST", "/query", parameters, QUERY_BYTES_MAX)
        results = json.loads(answer.body)["results"]
        if problems := [result["error"] for result in results if "error" in result]:
            raise TransportError(_words(f"{self._where()}: {problems[0]}"))
        return [
            series.get("tags", {}) | dict(zip(series["columns"], row, strict=True))
            for result in results
            for series in result.get("series", [])
            for row in series.get("values", [])
        ]

    async def _ask(
        self,
        method: str,
        path: str,
        parameters: list[tuple[str, str]],
        bytes_max: int = ANSWER_BYTES_MAX,
    ) -> Answer:
        headers = {"Content-Type": "text/plain"}
        try:
            answer = await self._call(method, path, parameters, headers, b"", bytes_max)
        except TimeoutError as error:
            raise TransportError(f"{self._where()}: no answer") from error
        except (ClientError, OSError) as error:
            raise TransportError(_words(f"{self._where()}: {_why(error)}")) from error
        if answer.status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
            raise TransportError(f"{self._where()}: {_complaint(answer)}")
        return answer

    async def _call(
        self,
        method: str,
        path: str,
        parameters: list[tuple[str, str]],
        headers: dict[str, str],
        body: bytes,
        bytes_max: int = ANSWER_BYTES_MAX,
    ) -> Answer:
        response: ClientResponse = await self._client.api_client.call_api(  # type: ignore[no-untyped-call]
            path,
            method,
            query_params=parameters,
            header_params=headers | self._headers,
            body=body,
            _preload_content=False,
        )
        async with response:
            parts, size = [], 0
            while size < bytes_max and (part := await response.content.readany()):
                parts.append(part)
                size += len(part)
            return Answer(response.status, response.headers, b"".join(parts))

    def _where(self) -> str:
        """The address without any credentials in it."""
        parts = urlsplit(self._target.url)
        return f"InfluxDB at {parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def judge(answer: Answer, now_s: float) -> Receipt:
    """What the server's answer to a write means for the lines."""
    status = answer.status
    if status == HTTPStatus.NO_CONTENT:
        return Delivered()
    complaint = _complaint(answer)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TooLarge(complaint)
    if "retention policy not found" in complaint:  # version 1 calls it an internal error
        return Halted(complaint)
    if status in _TRY_AGAIN:
        return Deferred(complaint, _retry_after_s(answer.headers.get("Retry-After", ""), now_s))
    # 201: some lines stored. A 400 that isn't JSON comes from a proxy, not from InfluxDB.
    if status in {201, 422} or (status == HTTPStatus.BAD_REQUEST and _document(answer)):
        return _judge_complaint(answer, complaint)
    return Halted(complaint)


def _judge_complaint(answer: Answer, complaint: str) -> Receipt:
    message = _message(answer)
    if not _ABOUT_LINES.search(message):
        if _ABOUT_THE_SERVER.search(message):
            return Deferred(complaint)
        if _ABOUT_THE_REQUEST.search(message):
            return Halted(complaint)
    return Refused(answer.status, _words(message), _guilty(_document(answer)))


def _complaint(answer: Answer) -> str:
    """Status and words for the operator."""
    location = answer.headers.get("Location", "")
    redirect = f" redirects to {location}" if location else ""
    return _words(f"HTTP {answer.status}{redirect}: {_message(answer)}").rstrip(": ")


def _message(answer: Answer) -> str:
    """The server's words: version 2's `message`, else `error` and version 3's first line of it."""
    document = _document(answer)
    if not document:
        return re.sub(r"<[^>]*>", " ", answer.body.decode("utf-8", "replace"))
    details = (str(line["error_message"]) for line in _bad_lines(document))
    words = (str(document.get(key) or "") for key in ("message", "error"))
    return ": ".join(filter(None, (next(filter(None, words), ""), next(details, ""))))


def _guilty(document: Mapping[str, object]) -> tuple[int, ...]:
    """Indices of the bad lines, where the server gives their numbers (from 1)."""
    numbers = [document.get("line"), *(line.get("line_number") for line in _bad_lines(document))]
    return tuple(number - 1 for number in numbers if isinstance(number, int) and number > 0)


def _bad_lines(document: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Version 3's account of bad lines: a list, or a single one where it gave up at the first."""
    found = document.get("data")
    lines = found if isinstance(found, list) else [found]
    return [line for line in lines if isinstance(line, dict) and "error_message" in line]


def _document(answer: Answer) -> dict[str, object]:
    """The body's JSON object; empty where it is none."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _words(text: str) -> str:
    """One line of bounded length."""
    return " ".join(text.split())[:MESSAGE_CHARS_MAX]


def _why(error: Exception) -> str:
    if isinstance(error, ClientConnectorError):
        number = error.os_error.errno or 0  # negative: of a look-up, which has words of its own
        return f"cannot connect: {os.strerror(number) if number > 0 else error.strerror}"
    return str(error) or type(error).__name__


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


def _write_path(target: InfluxTarget) -> tuple[str, list[tuple[str, str]]]:
    """Path and query parameters of a write; the precision is always spelled out."""
    match target.version:
        case 1:
            policy = [("rp", target.retention_policy)] if target.retention_policy else []
            return "/write", [("db", target.database), *policy, ("precision", "ns")]
        case 2:
            parameters = [("org", target.org), ("bucket", target.bucket), ("precision", "ns")]
            return "/api/v2/write", parameters
        case _:
            return "/api/v3/write_lp", [("db", target.database), ("precision", "nanosecond")]


def _authorization(target: InfluxTarget) -> dict[str, str]:
    if target.version == 1:
        pair = b64encode(f"{target.username}:{target.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"} if target.username else {}
    scheme = "Token" if target.version == 2 else "Bearer"  # noqa: PLR2004
    if not target.token.isprintable():
        raise ConfigError(["influxdb.token: contains a line break or another control character"])
    return {"Authorization": f"{scheme} {target.token}"} if target.token else {}
