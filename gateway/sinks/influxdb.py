"""InfluxDB 1, 2 and 3 over HTTP: one write path for ready lines.

Strategy: influxdb-client's write helper speaks version 2 only, so ready bytes go through its API
client to `/write`, `/api/v2/write` or `/api/v3/write_lp`. Answers are taken raw
(`_preload_content=False`): only 204 is success, where the library also takes 201; at most
`ANSWER_BYTES_MAX` of an answer are read, because servers echo bad lines; and the library's error
parser, which installs a handler on the root logger, never runs. `call_api` is not a documented
interface: `tests/sinks` and `tests/integration` hold it to what is used here.

`answers.judge` says what an answer means. Left to the sink are the answers that a second request
makes clear: a missing database, a type conflict in a new shard, and words that nobody knows.
"""

import gzip
import os
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Self
from urllib.parse import urlsplit

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientResponseError,
    ClientTimeout,
    ConnectionTimeoutError,
)
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync

from gateway.errors import ConfigError, TransportError
from gateway.model import Deferred, Delivered, Halted, Receipt, Refused
from gateway.sinks.answers import Answer, about_lines, judge, words

ANSWER_BYTES_MAX = 1024 * 1024
QUERY_BYTES_MAX = 64 * 1024 * 1024
CONNECT_SHARE = 0.8
"""Of the time-out, so that an unreachable server is told from a slow one."""
GZIP_BYTES_MIN = 1024
"""Below one packet compression saves nothing. A line alone always goes as it is: what is said of it
is final, and must not be about bytes that something on the way has unpacked wrongly."""


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
                timeout=ClientTimeout(
                    total=target.timeout_s, sock_connect=CONNECT_SHARE * target.timeout_s
                ),
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
        receipt = await self._write(lines)
        if self._target.version == 1:
            if isinstance(receipt, Halted) and "database not found" in receipt.problem:
                try:
                    await self.ensure_database()
                except TransportError as error:
                    return Halted(words(f"{receipt.problem}; creating it failed: {error}"))
                receipt = await self._write(lines)
            if isinstance(receipt, Refused) and receipt.message == "field type conflict":
                # A conflict within a batch that opens a new shard loses all of that shard's
                # lines. Now that the shard exists, the same batch loses only what conflicts.
                receipt = await self._write(lines)
        if isinstance(receipt, Refused) and len(lines) == 1 and not about_lines(receipt.message):
            receipt = await self._doubt(receipt)
        return receipt

    async def _doubt(self, refusal: Refused) -> Receipt:
        """A refusal in unknown words: of the line, or of whatever is sent?

        A server that takes an empty write, or complains of its emptiness, has refused the line.
        """
        empty = await self._write([])
        match empty:
            case Delivered():
                return refusal
            case Refused(_, message) if "empty" in message and "empty" not in refusal.message:
                return refusal
            case Deferred():
                return empty
        return Halted(words(f"HTTP {refusal.status}: {refusal.message}"))

    async def _write(self, lines: Sequence[bytes]) -> Receipt:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        body = b"\n".join(lines)
        if len(body) >= GZIP_BYTES_MIN and len(lines) > 1:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, 1, mtime=0)
        try:
            answer = await self._call("POST", self._path, self._parameters, headers, body)
        except (ClientError, OSError, UnicodeError) as error:  # time-outs are OSErrors
            return self._judge_fault(error)
        return judge(answer, self._now_ns() / 1e9, lines)

    def _judge_fault(self, error: ClientError | OSError | UnicodeError) -> Receipt:
        match error:
            case UnicodeError():  # no host can have such a name: a part is empty or too long
                return Halted(words(f"{self._where()}: {_why(error)}"))
            case ClientConnectorCertificateError():
                return Halted(words(f"{self._where()}: certificate not trusted: {error}"))
            case ConnectionTimeoutError():
                return Deferred(f"{self._where()}: no connection in time")
            case TimeoutError():
                problem = f"{self._where()}: no answer within {self._target.timeout_s:g} s"
                return Deferred(problem, smaller=True)
            case ClientResponseError(status=status, message=message) if about_lines(message):
                # Version 1 repeats its words in a header, which a NUL in a bad line spoils.
                return Refused(status, words(message))
        is_cut = not isinstance(error, ClientConnectorError | ClientResponseError)
        return Deferred(words(f"{self._where()}: {_why(error)}"), smaller=is_cut)

    async def ping(self) -> str:
        """The server's version, or TransportError with the words of whoever answered."""
        answer = await self._ask("GET", "/ping", [])
        version = answer.headers.get("X-Influxdb-Version") or answer.document.get("version")
        return str(version or "unknown")

    async def ensure_database(self) -> None:
        """Create version 1's database if it isn't there; versions 2 and 3 need no such help."""
        name = self._target.database.replace("\\", "\\\\").replace('"', '\\"')
        await self.query_v1(f'CREATE DATABASE "{name}"')

    async def query_v1(self, query: str) -> list[dict[str, object]]:
        """Rows of an InfluxQL query: columns and tags by name, times as integer nanoseconds."""
        parameters = [("db", self._target.database), ("epoch", "ns"), ("q", query)]
        answer = await self._ask("POST", "/query", parameters, QUERY_BYTES_MAX)
        results = answer.document.get("results")
        if not isinstance(results, list):
            raise TransportError(f"{self._where()}: {answer.complaint}")
        if problems := [result["error"] for result in results if "error" in result]:
            raise TransportError(words(f"{self._where()}: {problems[0]}"))
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
        except (ClientError, OSError, UnicodeError) as error:
            raise TransportError(words(f"{self._where()}: {_why(error)}")) from error
        if answer.status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
            raise TransportError(f"{self._where()}: {answer.complaint}")
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
            try:
                while size < bytes_max and (part := await response.content.readany()):
                    parts.append(part)
                    size += len(part)
            except (ClientError, TimeoutError):
                if response.status == HTTPStatus.OK:
                    raise
                # The status and the beginning of a complaint say more than nothing.
            return Answer(response.status, response.headers, b"".join(parts))

    def _where(self) -> str:
        """The address without any credentials in it."""
        parts = urlsplit(self._target.url)
        return f"InfluxDB at {parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _why(error: Exception) -> str:
    if isinstance(error, ClientConnectorError):
        number = error.os_error.errno or 0  # negative: of a look-up, which has words of its own
        return f"cannot connect: {os.strerror(number) if number > 0 else error.strerror}"
    return str(error) or type(error).__name__


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
