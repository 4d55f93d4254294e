"""A strict InfluxDB 1, 2 or 3 on a free loopback port: what real servers answer to writes.

What it stores of a batch and says about it is in `influxdb_store`; `points` holds what is stored:
series and time -> fields, united as real servers unite them.
`faults` are worked off first, one per request to write: any status, a delay, a connection cut
before or after the lines were stored. Left out: strings spanning several lines, and queries other
than CREATE DATABASE. What goes wrong below HTTP is in `rude_http`.
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
from typing import Self

from aiohttp import web

from simulators.influxdb_store import Limits, Said, Storage
from simulators.line_protocol import Value

V1, V2, V3 = 1, 2, 3
ERROR_HEADER_MAX = 1024
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
        databases_max: int = 0,
        limits: Limits | None = None,
        accept_partial: bool = True,
    ) -> None:
        """`databases_max` and `accept_partial` are version 3's."""
        self.version = version
        self.databases = set(databases)
        self.body_bytes_max = body_bytes_max or BODY_BYTES_MAX[version]
        self.faults: deque[Fault] = deque()
        self.writes: list[int] = []
        """The number of lines of each request to write that got as far as being read."""
        self.url = ""
        self._org = org
        self._credentials = _credentials(version, token, username, password)
        self._databases_max = databases_max
        self._accept_partial = accept_partial
        self._storage = Storage(version, limits or Limits())
        self._runner: web.AppRunner

    @property
    def points(self) -> dict[tuple[str, int], dict[str, Value]]:
        return self._storage.points

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/ping", self._ping, allow_head=False)
        app.router.add_post(WRITE_PATHS[self.version], self._write)
        app.router.add_route("*", WRITE_PATHS[self.version], self._wrong_method)
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

    async def _wrong_method(self, request: web.Request) -> web.Response:
        raise web.HTTPMethodNotAllowed(request.method, ["OPTIONS", "POST"])

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
            return self._too_large()
        if headers.get("Content-Encoding") == "gzip":
            try:
                body = gzip.decompress(body)
            except (OSError, EOFError, zlib.error) as error:
                words = "unexpected EOF" if isinstance(error, EOFError) else "gzip: invalid header"
                return self._error(500 if self.version == V2 else 400, words)
        if self.version == V3 and len(body) > self.body_bytes_max:
            return self._too_large()
        precision = query.get("precision", {3: "nanosecond"}.get(self.version, "ns"))
        unit_ns = UNITS_NS[self.version].get(precision, 1 if self.version == V1 else 0)
        if not unit_ns:
            return self._error(
                400, "invalid precision; valid precision units are ns, us, ms, and s"
            )
        text = body.decode("utf-8", "replace")
        self.writes.append(len(text.removesuffix("\n").split("\n")))
        partial = self._accept_partial and query.get("accept_partial") != "false"
        return self._say(self._storage.write(text, unit_ns, partial=partial))

    def _too_large(self) -> web.Response:
        if self.version == V3:
            words = f"max request size ({self.body_bytes_max} bytes) exceeded"
            return self._say(Said(413, words, is_plain=True))
        return self._error(413, "Request Entity Too Large")

    def _say(self, said: Said) -> web.Response:
        if said.is_plain:
            return web.Response(status=said.status, text=said.words)
        if said.document:
            return web.json_response(said.document, status=said.status)
        return (
            self._error(said.status, said.words) if said.words else web.Response(status=said.status)
        )

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
            most = self._databases_max
            if most and len(self.databases | {name}) > most:
                return self._error(422, f"Adding a new database would exceed limit of {most}")
            self.databases.add(name)
        elif name not in self.databases:
            what = "database not found: " if self.version == V1 else "bucket "
            return self._error(
                404, f'{what}"{name}"' + (" not found" if self.version == V2 else "")
            )
        return None

    def _error(self, status: int, words: str) -> web.Response:
        if self.version == V2:
            codes = {
                400: "invalid",
                401: "unauthorized",
                404: "not found",
                413: "request too large",
                422: "unprocessable entity",
                500: "internal error",
            }
            document = {"code": codes[status], "message": words}
            headers = {"X-Platform-Error-Code": codes[status]}
        else:
            document = {"error": words}
            flat = words.replace("\n", " ")[:ERROR_HEADER_MAX]
            headers = {"X-Influxdb-Error": flat} if self.version == V1 else {}
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
