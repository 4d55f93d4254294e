"""InfluxDB without HTTP: the strict storage of `simulators.influxdb`, and all that lies before it.

The sink is the gateway's own but for the call that would leave the process, so compression, the
judgement of every answer and version 1's second attempts are the real ones. A request takes effect
at an instant of its own, whether or not somebody still waits for the answer.
"""

import asyncio
import gzip
from collections.abc import Callable
from email.utils import formatdate
from enum import StrEnum
from typing import Self

from aiohttp import ClientConnectionError, ServerDisconnectedError

from gateway.sinks.answers import Answer
from gateway.sinks.influxdb import ANSWER_BYTES_MAX, InfluxSink, InfluxTarget
from simulators.influxdb import V1, Influx
from tests.simulation.book import Book
from tests.simulation.process import Process
from tests.simulation.world import SECOND_NS, Moment, World

SMALL_BYTES = 400


class Trouble(StrEnum):
    """What requests meet instead of a proper answer, or before one."""

    NONE = "none"
    AWAY = "away"  # connection refused
    HANGS = "hangs"  # no answer in time; the lines may be stored all the same, also much later
    CUTS = "cuts"  # the connection ends without an answer, the lines stored or not
    SLOW = "slow"
    THROTTLES = "throttles"  # 429 with Retry-After, in both forms
    BUSY = "busy"  # 503
    FAILS = "fails"  # 500
    PROXY = "proxy"  # a web page, with 200 or 502
    LOCKED = "locked"  # 401, for a while
    MISSING = "missing"  # 404, for a while
    SMALL = "small"  # 413 above SMALL_BYTES
    NEW_SHARD = "new shard"  # version 1's answer to a conflict in a new shard, once: nothing stored


_ANSWERS = {
    Trouble.BUSY: [Answer(503, {}, b"request throttled, exceeds timeout\n")],
    Trouble.FAILS: [
        Answer(500, {}, b'{"error":"engine: cache-max-memory-size exceeded: (224132/200000)"}\n')
    ],
    Trouble.PROXY: [
        Answer(200, {"Content-Type": "text/html"}, b"<!doctype html><title>hello</title>"),
        Answer(502, {"Content-Type": "text/html"}, b"<h1>Bad Gateway</h1>"),
    ],
    Trouble.LOCKED: [Answer(401, {}, b'{"error":"authorization failed"}\n')],
    Trouble.NEW_SHARD: [Answer(400, {}, b'{"error":"field type conflict"}\n')],
}
_MISSING = {
    1: b'{"error":"database not found: \\"sensors\\""}\n',
    2: b'{"code":"not found","message":"bucket \\"sensors\\" not found"}\n',
    3: b"404 page not found\n",
}


_PLACES = {
    1: {"db": "sensors", "precision": "ns"},
    2: {"org": "home", "bucket": "sensors", "precision": "ns"},
    3: {"db": "sensors", "precision": "nanosecond"},
}


class DatabaseSite:
    """The server and the network before it."""

    def __init__(self, world: World, book: Book, influx: Influx) -> None:
        self.world, self.book, self.influx = world, book, influx
        self.trouble = Trouble.NONE
        self.share = 1.0
        """Of the requests that meet the trouble."""
        self._rng = world.chance("database")

    async def request(
        self,
        path: str,
        parameters: dict[str, str],
        headers: dict[str, str],
        body: bytes,
        timeout_s: float,
    ) -> Answer:
        """One request, from the client's side; raises what aiohttp would."""
        rng = self._rng
        trouble = self.trouble if rng.random() < self.share else Trouble.NONE
        loop = asyncio.get_running_loop()
        effect_s = rng.uniform(0.001, 3.0 if trouble is Trouble.SLOW else 0.05)
        applied = rng.random() < 0.5
        if trouble is Trouble.HANGS:
            if applied:
                late_s = rng.uniform(0.0, 3.0 * timeout_s)
                loop.call_later(late_s, self._write, parameters, headers, body)
            await asyncio.sleep(timeout_s)
            raise TimeoutError
        answered: asyncio.Future[Answer] = loop.create_future()

        def effect() -> None:
            answer = self._answer(trouble, applied, path, parameters, headers, body)
            if not answered.done():
                answered.set_result(answer)

        if trouble is Trouble.AWAY:
            await asyncio.sleep(effect_s)
            raise ClientConnectionError("Cannot connect to host")
        loop.call_later(effect_s, effect)
        answer = await answered
        await asyncio.sleep(rng.uniform(0.001, 0.05))
        if trouble is Trouble.CUTS:
            raise ServerDisconnectedError
        return answer

    def _answer(
        self,
        trouble: Trouble,
        applied: bool,  # noqa: FBT001 -- of two kinds of cuts
        path: str,
        parameters: dict[str, str],
        headers: dict[str, str],
        body: bytes,
    ) -> Answer:
        if path == "/query":
            self.influx.databases.add("sensors")
            return Answer(200, {}, b'{"results":[{"statement_id":0}]}')
        refusal = self._refusal(trouble, len(body))
        if refusal is not None:
            return refusal
        if trouble is Trouble.CUTS and not applied:
            return Answer(0, {}, b"")
        return self._write(parameters, headers, body)

    def _refusal(self, trouble: Trouble, size: int) -> Answer | None:
        """What is answered in place of doing what was asked for."""
        if trouble is Trouble.SMALL and size > SMALL_BYTES:
            return Answer(413, {}, b'{"error":"Request Entity Too Large"}\n')
        if trouble is Trouble.THROTTLES:
            return Answer(429, {"Retry-After": self._retry_after()}, b"")
        if trouble is Trouble.MISSING:
            return Answer(404, {}, _MISSING[self.influx.version])
        if trouble is Trouble.NEW_SHARD:
            self.trouble = Trouble.NONE  # the shard exists now
            if self.influx.version != V1:
                return None
        return self._rng.choice(_ANSWERS[trouble]) if trouble in _ANSWERS else None

    def poison(self) -> None:
        """Somebody else stores text where the gateway will store numbers."""
        line = b'poison,device=outsider number="text" %d' % self.world.true_ns()
        self.influx.answer(_PLACES[self.influx.version], {}, line)

    def _retry_after(self) -> str:
        seconds = self._rng.randrange(1, 120)
        if self._rng.random() < 0.5:
            return str(seconds)
        return formatdate(self.world.true_ns() / SECOND_NS + seconds, usegmt=True)

    def _write(self, parameters: dict[str, str], headers: dict[str, str], body: bytes) -> Answer:
        plain = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
        if plain:
            self.book.sent(plain.split(b"\n"))
        response = self.influx.answer(parameters, headers, body)
        text = response.body if isinstance(response.body, bytes) else b""
        self.world.note("InfluxDB", response.status, plain.count(b"\n") + 1)
        self.world.moment(Moment.STORED)
        return Answer(response.status, dict(response.headers), text)


class SimulatedSink(InfluxSink):
    """The gateway's sink, and requests that never leave the process."""

    def __init__(
        self, target: InfluxTarget, now_ns: Callable[[], int], site: DatabaseSite, process: Process
    ) -> None:
        super().__init__(target, now_ns)
        self._site, self._process = site, process

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""

    async def _call(
        self,
        method: str,
        path: str,
        parameters: list[tuple[str, str]],
        headers: dict[str, str],
        body: bytes,
        bytes_max: int = ANSWER_BYTES_MAX,
    ) -> Answer:
        if not self._process.alive:
            raise ClientConnectionError("the process is dead")
        return await self._site.request(
            path, dict(parameters), headers | self._headers, body, self._target.timeout_s
        )
