"""A strict InfluxDB 1, 2 or 3 on a free loopback port: what real servers answer to writes.

Each generation treats a batch with a bad line in its own way:

* version 1  stores the good lines and answers 400; but a type conflict within a batch that opens
             a new shard (seven days of data) loses all lines of that shard, once
* version 2  stores nothing where a line cannot be parsed (400), the other lines where a type
             conflicts (422)
* version 3  stores the good lines and answers 400 with the number of each bad one

`points` holds what is stored: series and time -> fields, united as real servers unite them.
`faults` are worked off first, one per request to write: any status, a delay, a connection cut
before or after the lines were stored. Left out: strings spanning several lines, retention, and
queries other than CREATE DATABASE.
"""

import asyncio
import gzip
import json
import re
import zlib
from base64 import b64encode
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from aiohttp import web

from simulators.line_protocol import LineError, Point, Value, parse

V1, V2, V3 = 1, 2, 3
SHARD_NS = 7 * 86_400 * 10**9
BODY_BYTES_MAX = {1: 25_000_000, 2: 50_000_000, 3: 10 * 1024 * 1024}
VERSIONS = {1: "1.6.7", 2: "2.7.11", 3: "3.4.0"}
WRITE_PATHS = {1: "/write", 2: "/api/v2/write", 3: "/api/v3/write_lp"}
_V1_UNITS_NS = {
    "n": 1,
    "ns": 1,
    "u": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
UNITS_NS = {
    1: _V1_UNITS_NS,
    2: {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9},
    3: {"nanosecond": 1, "microsecond": 10**3, "millisecond": 10**6, "second": 10**9},
}
BAD_LINES_MAX = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one request instead of a proper answer."""

    status: int = 0
    """0: none of its own; the proper answer, unless `cut`."""
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    cut: bool = False
    """Close the connection without an answer."""
    applied: bool = False
    """The lines are written all the same."""


class BadLine(NamedTuple):
    number: int
    line: str
    reason: str
    dropped: bool = False
    """Readable, but not to be stored."""


class Influx:
    """The server; enter it to have it listen at `url`."""

    def __init__(
        self,
        version: int,
        *,
        databases: tuple[str, ...] = ("sensors",),
        org: str = "home",
        token: str = "",
        username: str = "",
        password: str = "",
        body_bytes_max: int = 0,
    ) -> None:
        self.version = version
        self.databases = set(databases)
        self.body_bytes_max = body_bytes_max or BODY_BYTES_MAX[version]
        self.faults: deque[Fault] = deque()
        self.points: dict[tuple[str, int], dict[str, Value]] = {}
        self.writes: list[int] = []
        """The number of lines of each request to write that got as far as being read."""
        self.url = ""
        self._org = org
        self._credentials = _credentials(version, token, username, password)
        self._types: dict[int, dict[tuple[str, str], str]] = {}
        """Shard -> (measurement, field) -> type; version 3 has a single one, for ever."""
        self._runner: web.AppRunner

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/ping", self._ping, allow_head=False)
        app.router.add_post(WRITE_PATHS[self.version], self._write)
        if self.version == V1:
            app.router.add_post("/query", self._query)
        app.router.add_route("*", "/{path:.*}", self._elsewhere)
        self._runner = web.AppRunner(
            app, handler_cancellation=True, shutdown_timeout=0.1, auto_decompress=False
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _ping(self, request: web.Request) -> web.Response:
        headers = {"X-Influxdb-Version": VERSIONS[self.version]}
        if self.version != V3:
            return web.Response(status=204, headers=headers)
        return self._refuse_credentials(request.headers) or web.json_response(
            {"version": VERSIONS[3]}, headers=headers
        )

    async def _elsewhere(self, request: web.Request) -> web.Response:
        if self.version == V2 and request.method == "GET":
            return web.Response(
                text="<!doctype html><title>InfluxDB</title>", content_type="text/html"
            )
        return web.Response(status=404, text="404 page not found\n")

    async def _query(self, request: web.Request) -> web.Response:
        if refusal := self._refuse_credentials(request.headers):
            return refusal
        created = re.fullmatch(r'CREATE DATABASE "((?:\\.|[^"\\])+)"', request.query.get("q", ""))
        if created is None:
            return self._error(400, "error parsing query")
        self.databases.add(re.sub(r"\\(.)", r"\1", created[1]))
        return web.json_response({"results": [{"statement_id": 0}]})

    async def _write(self, request: web.Request) -> web.Response:
        fault = self.faults.popleft() if self.faults else Fault()
        body = await request.read()
        answer = None
        if fault.applied or not (fault.status or fault.cut):
            answer = self.answer(request.query, request.headers, body)
        await asyncio.sleep(fault.delay_s)
        if fault.cut and request.transport:
            request.transport.abort()
        if fault.status or answer is None:
            return web.Response(status=fault.status or 500, text=fault.body, headers=fault.headers)
        return answer

    def answer(
        self, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> web.Response:
        """Do what a request to write asks for, and return the proper answer; no faults."""
        refusal = self._refuse_credentials(headers) or self._refuse_target(query)
        if refusal:
            return refusal
        if len(body) > self.body_bytes_max:
            return self._error(413, "Request Entity Too Large")
        if headers.get("Content-Encoding") == "gzip":
            try:
                body = gzip.decompress(body)
            except (OSError, EOFError, zlib.error) as error:
                return self._error(400, f"gzip: invalid header: {error}")
        if self.version == V3 and len(body) > self.body_bytes_max:
            return self._error(413, f"max request size ({self.body_bytes_max} bytes) exceeded")
        precision = query.get("precision", {3: "nanosecond"}.get(self.version, "ns"))
        unit_ns = UNITS_NS[self.version].get(precision, 1 if self.version == V1 else 0)
        if not unit_ns:
            return self._error(
                400, "invalid precision; valid precision units are ns, us, ms, and s"
            )
        return self._store(body.decode("utf-8", "replace"), unit_ns)

    def _refuse_credentials(self, headers: Mapping[str, str]) -> web.Response | None:
        if not self._credentials or headers.get("Authorization") in self._credentials:
            return None
        words = {
            1: "authorization failed",
            2: "unauthorized access",
            3: "the request was not authenticated",
        }
        return self._error(401, words[self.version])

    def _refuse_target(self, query: Mapping[str, str]) -> web.Response | None:
        name = query.get("bucket" if self.version == V2 else "db", "")
        if self.version == V2 and query.get("org") != self._org:
            return self._error(400, f'organization name "{query.get("org", "")}" not found')
        if self.version != V2 and not name:
            return self._error(400, "database is required")
        if self.version == V1 and "rp" in query:
            return self._error(500, f"retention policy not found: {query['rp']}")
        if self.version == V3:
            self.databases.add(name)
        elif name not in self.databases:
            what = "database not found: " if self.version == V1 else "bucket "
            return self._error(
                404, f'{what}"{name}"' + (" not found" if self.version == V2 else "")
            )
        return None

    def _store(self, text: str, unit_ns: int) -> web.Response:
        points: list[tuple[int, str, Point]] = []
        bad: list[BadLine] = []
        lines = text.removesuffix("\n").split("\n")
        self.writes.append(len(lines))
        if self.version == V3 and not text.strip():
            return self._error(400, "incoming write was empty")
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                points.append((number, line, parse(line, unit_ns, self.version)))
            except LineError as error:
                bad.append(BadLine(number, line, str(error)))
        if bad and self.version == V2:
            return self._error(400, _unable_to_parse(bad))
        lost_shards = self._open_shards(points) if self.version == V1 else set[int]()
        for number, line, point in points:
            if self._shard(point) in lost_shards:
                continue
            if problem := _reserved(point) or self._conflict(point):
                bad.append(BadLine(number, line, problem, dropped=True))
            else:
                self.points.setdefault((point.series, point.time_ns), {}).update(point.fields)
        if lost_shards:
            return self._error(400, "field type conflict")
        return self._complain(bad, len(points)) if bad else web.Response(status=204)

    def _open_shards(self, points: list[tuple[int, str, Point]]) -> set[int]:
        """Version 1's new shards in which two lines of the batch disagree about a type."""
        lost = set()
        for shard in {self._shard(point) for *_, point in points} - self._types.keys():
            if any(self._conflict(point) for *_, point in points if self._shard(point) == shard):
                lost.add(shard)
        return lost

    def _shard(self, point: Point) -> int:
        return 0 if self.version == V3 else point.time_ns // SHARD_NS

    def _conflict(self, point: Point) -> str:
        """Why the line's types cannot be stored; else they are remembered."""
        types = self._types.setdefault(self._shard(point), {})
        for name, value in point.fields.items():
            known = types.get((point.measurement, name))
            if known and known != _type(value):
                return (
                    f'field type conflict: input field "{name}" on measurement'
                    f' "{point.measurement}" is type {_type(value)}, already exists as type {known}'
                )
        for name, value in point.fields.items():
            types[point.measurement, name] = _type(value)
        return ""

    def _complain(self, bad: list[BadLine], good: int) -> web.Response:
        dropped = [line for line in bad if line.dropped]
        if self.version == V3:
            found = [
                {"original_line": line, "line_number": number, "error_message": reason}
                for number, line, reason, _ in sorted(bad)[:BAD_LINES_MAX]
            ]
            document = {"error": "partial write of line protocol occurred", "data": found}
            return web.json_response(document, status=400)
        if self.version == V2:
            message = f"partial write: {dropped[0].reason} dropped={len(dropped)}"
            return self._error(422, f"failure writing points to database: {message}")
        if dropped:  # hides what could not be parsed
            return self._error(400, f"partial write: {dropped[0].reason} dropped={len(dropped)}")
        unable = _unable_to_parse(bad)
        return self._error(400, f"partial write: {unable} dropped=0" if good else unable)

    def _error(self, status: int, words: str) -> web.Response:
        if self.version == V2:
            codes = {
                400: "invalid",
                401: "unauthorized",
                404: "not found",
                413: "request too large",
                422: "unprocessable entity",
            }
            document = {"code": codes[status], "message": words}
            headers = {"X-Platform-Error-Code": codes[status]}
        else:
            document = {"error": words}
            headers = {"X-Influxdb-Error": words.replace("\n", " ")} if self.version == V1 else {}
        return web.Response(
            status=status,
            text=json.dumps(document) + "\n",
            headers=headers,
            content_type="application/json",
        )


def _credentials(version: int, token: str, username: str, password: str) -> set[str]:
    """The headers that are let in; none: everybody is."""
    if version == 1 and username:
        return {"Basic " + b64encode(f"{username}:{password}".encode()).decode()}
    if not token:
        return set()
    return {f"Token {token}", f"Bearer {token}"}


def _reserved(point: Point) -> str:
    if "time" not in {*point.tags, *point.fields}:
        return ""
    return f'invalid tag key: input tag "time" on measurement "{point.measurement}" is invalid'


def _unable_to_parse(bad: list[BadLine]) -> str:
    return "\n".join(f"unable to parse '{line.line}': {line.reason}" for line in bad)


def _type(value: Value) -> str:
    return {float: "float", int: "integer", bool: "boolean", str: "string"}[type(value)]
