"""Servers, proxies and lines that break the rules: nothing is lost, followed or blocked.

Each rudeness happens to one request or a few; behind it stands a strict simulated server, which in
the end has every good line once.
"""

import asyncio
import json

import pytest

from gateway.delivery import State
from gateway.model import Deferred, Delivered, Halted, Receipt, Refused, TooLarge
from gateway.sinks.influxdb import ANSWER_BYTES_MAX, InfluxSink, InfluxTarget
from simulators.influxdb import Fault, Influx
from simulators.rude_http import Rudeness, RudeServer, answer
from tests.deliveries import NOW_NS, OneBatch, deliver, delivering, lines, noisy, until

PARTIAL = json.dumps(
    {"error": "partial write: unable to parse 'nobody': missing fields dropped=0"}
).encode()


def sink_of(url: str, timeout_s: float = 5.0, version: int = 1) -> InfluxSink:
    target = InfluxTarget(
        version, url, database="sensors", org="home", bucket="sensors", timeout_s=timeout_s
    )
    return InfluxSink(target, lambda: NOW_NS)


async def write(
    rudeness: Rudeness, sent: list[bytes] | None = None, timeout_s: float = 5.0
) -> Receipt:
    """One write to a server that is rude; the next one is taken by the server behind."""
    async with (
        Influx(1) as influx,
        RudeServer(rudeness, behind=influx.url) as server,
        sink_of(server.url, timeout_s) as sink,
    ):
        async with asyncio.timeout(4 * timeout_s):
            receipt = await sink.write(sent or lines(10))
        assert influx.points == {}
        assert await sink.write(sent or lines(10)) == Delivered()
        assert len(influx.points) == len(sent or lines(10))
    return receipt


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
@pytest.mark.parametrize("version", [1, 2, 3])
async def test_redirects_are_never_followed(version: int, status: int) -> None:
    """A 301 would turn the write into a GET without lines; elsewhere a token has no business."""
    async with Influx(version) as influx, Influx(version) as elsewhere:
        location = f"{elsewhere.url}/write?db=sensors"
        influx.faults.extend([Fault(status, headers={"Location": location})] * 2)
        spool = OneBatch(lines(3))
        async with sink_of(influx.url, version=version) as sink:
            assert await sink.write(lines(3)) == Halted(f"HTTP {status} redirects to {location}")
            async with delivering(spool, sink) as delivery:
                await until(lambda: delivery.state == State.HALTED)
                await spool.settled.wait()
        assert (len(influx.points), spool.dead) == (3, [])
        assert elsewhere.points == {}
        assert elsewhere.writes == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [(413, TooLarge), (401, Halted), (403, Halted), (429, Deferred), (503, Deferred)],
)
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_an_answer_before_the_upload_is_finished_is_heard(
    status: int, kind: type[Receipt]
) -> None:
    says = answer(status, b"words", "Connection: close")
    rudeness = Rudeness(says, before_the_body=True, hangs=True)
    receipt = await write(rudeness, noisy(25_000))
    assert isinstance(receipt, kind)
    assert "words" in str(receipt)


async def test_a_connection_that_an_early_answer_leaves_blocked_is_given_up_in_time() -> None:
    """The server says that it goes on with it and doesn't read the rest: one time-out, no more."""
    rudeness = Rudeness(answer(413, b"words"), before_the_body=True, hangs=True)
    async with (
        Influx(1) as influx,
        RudeServer(rudeness, behind=influx.url) as server,
        sink_of(server.url, 0.5) as sink,
    ):
        spool = OneBatch(noisy(20_000))
        await deliver(spool, sink)
        assert (len(influx.points), spool.dead) == (20_000, [])


async def test_a_server_that_closes_after_an_early_answer_costs_nothing() -> None:
    """Then a reset may overtake the answer: it may be heard or not."""
    rudeness = Rudeness(answer(413, b"words", "Connection: close"), before_the_body=True)
    receipt = await write(rudeness, noisy(20_000))
    assert isinstance(receipt, TooLarge | Deferred)
    assert isinstance(receipt, TooLarge) or receipt.smaller


async def test_of_an_answer_without_end_the_beginning_is_read() -> None:
    flood = Rudeness(answer(500, b"words", length=1 << 40), endlessly=b"x" * 65_536)
    receipt = await write(flood, timeout_s=10.0)
    assert isinstance(receipt, Deferred)
    assert receipt.problem.startswith("HTTP 500: wordsxxx")
    assert len(receipt.problem) < 1_000 < ANSWER_BYTES_MAX


@pytest.mark.parametrize(
    ("status", "kind"), [(413, TooLarge), (400, Refused), (401, Halted), (503, Deferred)]
)
async def test_an_answer_that_trickles_is_judged_by_its_beginning(
    status: int, kind: type[Receipt]
) -> None:
    """The status came in time; without it a batch too large would be tried for ever."""
    says = answer(status, PARTIAL[:-10], length=1 << 30)
    receipt = await write(Rudeness(says, endlessly=b"x", every_s=0.02), timeout_s=0.3)
    assert isinstance(receipt, kind)
    assert "unable to parse" in str(receipt)


async def test_headers_that_trickle_run_out_of_time() -> None:
    slow = Rudeness(b"HTTP/1.1 204 No Content\r\nX-A: ", endlessly=b"x", every_s=0.02)
    receipt = await write(slow, timeout_s=0.3)
    assert isinstance(receipt, Deferred)
    assert receipt.smaller


async def test_a_slow_answer_is_waited_for() -> None:
    async with Influx(1) as influx, sink_of(influx.url) as sink:
        influx.faults.append(Fault(delay_s=0.3))
        assert await sink.write(lines(3)) == Delivered()


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/1.1 204",
        b"HTTP/1.1 abc Words\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 400 Bad\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 400 Bad\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        answer(400, b"not zipped", "Content-Encoding: gzip"),
        answer(500, PARTIAL[:5], length=1_000),
    ],
)
async def test_what_is_no_answer_is_waited_for_or_halts(says: bytes) -> None:
    receipt = await write(Rudeness(says))
    assert isinstance(receipt, Deferred | Halted)


async def test_an_answer_cut_anywhere_costs_no_good_line() -> None:
    """And the bad line dies with the words of the server, whatever was cut before."""
    whole = answer(400, PARTIAL, "Content-Type: application/json")
    content = [*lines(3), b"m f", *lines(6)[3:]]
    for size in range(0, len(whole), 7):
        async with (
            Influx(1) as influx,
            RudeServer(*[Rudeness(whole[:size])] * 2, behind=influx.url) as server,
            sink_of(server.url) as sink,
        ):
            spool = OneBatch(content)
            await deliver(spool, sink)
            assert len(influx.points) == 6
            assert [letter.line for letter in spool.dead] == [b"m f"]
            assert "invalid field format" in spool.dead[0].message


@pytest.mark.parametrize(
    ("headers", "pause_s"), [(("Retry-After: 2",), 2.0), (("Retry-After: -5",), 0.0), ((), 0.0)]
)
async def test_retry_after_reaches_the_delivery(headers: tuple[str, ...], pause_s: float) -> None:
    loop = asyncio.get_running_loop()
    spool = OneBatch(lines(3))
    async with (
        Influx(1) as influx,
        RudeServer(Rudeness(answer(429, b"", *headers)), behind=influx.url) as server,
        sink_of(server.url) as sink,
    ):
        started_s = loop.time()
        await deliver(spool, sink)
        assert pause_s <= loop.time() - started_s < pause_s + 2.0
        assert len(influx.points) == 3


@pytest.mark.parametrize("body", [b"<html>Log in to the hotel</html>", b"{}", b"[]", b""])
async def test_a_portal_in_the_way_while_a_database_is_created_halts(body: bytes) -> None:
    """The database's own 404, then a page with status 200 instead of the result."""
    missing = answer(404, b'{"error":"database not found: \\"sensors\\""}', "Connection: close")
    portal = answer(200, body, "Connection: close")
    async with (
        Influx(1) as influx,
        RudeServer(Rudeness(missing), Rudeness(portal), behind=influx.url) as server,
        sink_of(server.url) as sink,
    ):
        receipt = await sink.write(lines(3))
        assert isinstance(receipt, Halted)
        assert "creating it failed" in receipt.problem
        assert await sink.write(lines(3)) == Delivered()


@pytest.mark.parametrize(("version", "status"), [(1, 400), (2, 400), (3, 400), (2, 422), (3, 201)])
async def test_a_refusal_of_everything_in_unknown_words_halts(version: int, status: int) -> None:
    """A gateway that answers all requests so must not turn them all into dead letters."""
    refusal = Fault(status, '{"message": "request does not match the schema of this API"}')
    spool = OneBatch(lines(4))
    async with Influx(version) as influx, sink_of(influx.url, version=version) as sink:
        influx.faults.extend([refusal] * 100)
        async with delivering(spool, sink) as delivery:
            await until(lambda: delivery.state == State.HALTED)
            assert "request does not match" in delivery.problem
            influx.faults.clear()
            await spool.settled.wait()
        assert (len(influx.points), spool.dead) == (4, [])


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_a_refusal_of_one_line_in_unknown_words_kills_it(version: int) -> None:
    """What is new to us is no reason to stop: the server takes everything else."""
    spool = OneBatch(lines(1))
    refusal = Fault(400, '{"message": "a new kind of complaint"}')
    async with Influx(version) as influx, sink_of(influx.url, version=version) as sink:
        influx.faults.extend([refusal, Fault(), refusal, Fault()])
        await deliver(spool, sink)
        assert [letter.line for letter in spool.dead] == lines(1)
        assert "a new kind of complaint" in spool.dead[0].message


async def test_an_unknown_refusal_followed_by_an_outage_waits() -> None:
    async with Influx(1) as influx, sink_of(influx.url) as sink:
        influx.faults.extend([Fault(400, '{"error": "new"}'), Fault(503)])
        assert isinstance(await sink.write(lines(1)), Deferred)


async def test_an_unreachable_server_is_told_from_a_slow_one() -> None:
    """Nothing answers at 192.0.2.1 (RFC 5737): smaller batches would not help."""
    async with sink_of("http://192.0.2.1:8086", timeout_s=0.2) as sink:
        receipt = await sink.write(lines(3))
    assert isinstance(receipt, Deferred)
    assert not receipt.smaller
