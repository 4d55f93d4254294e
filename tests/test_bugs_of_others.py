"""What other gateways and agents lose or never get rid of, tried on this one.

Each test is a bug, or a decision, of a widely used program. Read in their code or reported by
their users: Telegraf's three InfluxDB outputs (influxdata/telegraf #2245, #8571, #11005, #16386,
#16981), ThingsBoard's gateway (#1507, #2124), Fledge's storage (C/services/south/ingest.cpp and
C/plugins/north), influxdb-client's asynchronous writer (1.50), Node-RED's InfluxDB node (#71, #90).

Batches go through the real sink and the delivery to a strict simulated InfluxDB; pauses are short.
"""

from random import Random

import pytest

from gateway.delivery import State
from gateway.model import Deferred, Delivered, Receipt, Refused, TooLarge
from gateway.sinks.influxdb import InfluxSink, InfluxTarget
from simulators.influxdb import Fault, Influx
from simulators.rude_http import Rudeness, RudeServer, answer
from tests.deliveries import NOW_NS, OneBatch, deliver, delivering, lines, until
from tests.test_delivery import Server, Spool, deliver_all, make, numbered, run
from tests.test_delivery import until as until_virtually

VERSIONS = [1, 2, 3]
BAD = b"m,device=a f=1.2.3 5"
CONFLICT = b'm,device=a f="text" %d' % NOW_NS


def sink_of(server: Influx, url: str = "") -> InfluxSink:
    target = InfluxTarget(
        server.version, url or server.url, database="sensors", org="home", bucket="sensors"
    )
    return InfluxSink(target, lambda: NOW_NS)


async def outcome(server: Influx, sent: list[bytes], url: str = "") -> OneBatch:
    spool = OneBatch(sent)
    async with sink_of(server, url) as sink:
        await deliver(spool, sink)
    return spool


@pytest.mark.parametrize("version", VERSIONS)
async def test_one_bad_line_takes_the_whole_batch_with_it(version: int) -> None:
    """Telegraf's version 2 and 3 outputs reject all metrics of a batch on 400 and 422 (#11005)."""
    async with Influx(version) as server:
        spool = await outcome(server, [*lines(50), BAD, CONFLICT, *lines(100)[50:]])
        assert len(server.points) == 100
        assert {letter.line for letter in spool.dead} == {BAD, CONFLICT}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_refusal_is_reported_as_success(version: int) -> None:
    """Telegraf's version 1 output logs 400 and counts the metrics as written (#2245)."""
    async with Influx(version) as server:
        spool = OneBatch([BAD])
        async with sink_of(server) as sink, delivering(spool, sink) as delivery:
            await spool.settled.wait()
        assert delivery.delivered_lines == 0
        assert [letter.line for letter in spool.dead] == [BAD]
        assert spool.dead[0].status == 400
        assert spool.dead[0].message, "with the words of the server (#16386)"


@pytest.mark.parametrize("version", [1, 2])
async def test_a_missing_bucket_loses_the_batch(version: int) -> None:
    """Telegraf's version 2 output rejects the batch on 404, its version 1 output on most 404s."""
    async with Influx(version, databases=()) as server:
        spool = OneBatch(lines(10))
        async with sink_of(server) as sink, delivering(spool, sink) as delivery:
            if version == 2:
                await until(lambda: delivery.state == State.HALTED)
                assert "sensors" in delivery.problem
                server.databases.add("sensors")
            await spool.settled.wait()
        assert (len(server.points), spool.dead) == (10, [])


@pytest.mark.parametrize("status", [401, 403, 405, 407, 409, 415, 418, 429])
async def test_a_wrong_password_loses_the_batch(status: int) -> None:
    """Telegraf's version 1 output drops a batch on any 4xx, as success."""
    async with Influx(1) as server:
        server.faults.extend([Fault(status, '{"error": "words"}')] * 3)
        spool = await outcome(server, lines(10))
        assert (len(server.points), spool.dead) == (10, [])


async def test_a_metric_too_large_for_any_request_stays_for_ever() -> None:
    """In Telegraf's version 2 output it stays at the head of the buffer and blocks what follows."""
    large = b'm,device=a f="%s" 5' % Random(1).randbytes(4_000).hex().encode()
    async with Influx(2, body_bytes_max=2_000) as server:
        spool = await outcome(server, [*lines(20), large, *lines(40)[20:]])
        assert len(server.points) == 40
        assert [(letter.line, letter.status) for letter in spool.dead] == [(large, 413)]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_batch_too_large_is_split_once_only(version: int) -> None:
    """Telegraf's version 3 output halves a batch once; a half still too large is stuck for ever."""
    mixed = [b"m,device=a f=%d.%d %d" % (i, i * 7919 % 10_007, NOW_NS + i) for i in range(2_000)]
    async with Influx(version, body_bytes_max=3_000) as server:
        spool = await outcome(server, mixed)
        assert (len(server.points), spool.dead) == (2_000, [])


async def test_an_error_that_never_passes_is_tried_for_ever() -> None:
    """An unknown retention policy is an internal error (500) to version 1 (Telegraf #8571).

    To keep trying is right, the data is kept; to say nothing is the bug: delivery is halted, which
    is shown, and asks at long intervals.
    """
    async with Influx(1) as server:
        target = InfluxTarget(1, server.url, database="sensors", retention_policy="nosuch")
        spool = OneBatch(lines(3))
        sink = InfluxSink(target, lambda: NOW_NS)
        async with sink, delivering(spool, sink) as delivery:
            await until(lambda: delivery.state == State.HALTED)
            assert delivery.problem == "HTTP 500: retention policy not found: nosuch"
    assert (spool.dead, spool.settled.is_set()) == ([], False)


def test_ten_failed_attempts_delete_the_data() -> None:
    """A bound on attempts turns a long outage into loss; here two weeks of them lose nothing."""
    spool = Spool([numbered(5)])
    server = Server(*[Deferred("no route to host")] * 40_000)
    deliver_all(spool, server, look_every_s=3_600.0)
    assert (server.stored, spool.dead) == (numbered(5), [])


def test_after_five_failures_the_first_readings_are_thrown_away() -> None:
    """Fledge takes a store that fails for readings that are poison, and removes five at a time."""
    spool = Spool([numbered(50)])
    server = Server(*[Deferred("HTTP 500: disk full", smaller=True)] * 100)
    deliver_all(spool, server, look_every_s=60.0)
    assert (sorted(server.stored), spool.dead) == (sorted(numbered(50)), [])


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_partial_write_counts_as_a_whole_one(version: int) -> None:
    """Fledge deletes a block sent in part; the version 2 client takes 201 as success."""
    body = '{"code": "invalid", "message": "partial write error (2 written)"}'
    async with Influx(version) as server:
        server.faults.append(Fault(201, body))
        spool = await outcome(server, lines(10))
        assert (len(server.points), spool.dead) == (10, [])


@pytest.mark.parametrize("status", [200, 202, 203, 205, 206, 207, 208, 226])
async def test_any_2xx_counts_as_stored(status: int) -> None:
    """Telegraf accepts seven of them: a page of a web server in the way swallows everything."""
    async with Influx(2) as server:
        server.faults.append(Fault(status))
        spool = await outcome(server, lines(10))
        assert (len(server.points), spool.dead) == (10, [])


@pytest.mark.parametrize("status", [301, 302])
async def test_a_redirect_makes_a_write_a_read(status: int) -> None:
    """The client library follows: POST becomes GET, the page's 200 becomes success."""
    async with Influx(2) as server:
        server.faults.append(Fault(status, headers={"Location": f"{server.url}/"}))
        spool = await outcome(server, lines(10))
        assert (len(server.points), spool.dead) == (10, [])


async def test_retry_after_as_a_date_is_ten_seconds() -> None:
    """Telegraf reads the number form only, and its version 1 output neither."""
    date = "Retry-After: Wed, 03 Jul 2024 09:46:50 GMT"
    async with (
        Influx(1) as server,
        RudeServer(Rudeness(answer(429, b"", date)), behind=server.url) as rude,
        sink_of(server, rude.url) as sink,
    ):
        receipt = await sink.write(lines(1))
        assert receipt == Deferred("HTTP 429", after_s=10.0)


async def test_a_type_conflict_drops_points_for_good() -> None:
    """Node-RED's node reports an error and forgets the point (#71, #90): here it can be retried."""
    async with Influx(1) as server:
        assert (await outcome(server, lines(1))).dead == []
        spool = await outcome(server, [CONFLICT])
        (letter,) = spool.dead
        assert letter.line == CONFLICT
        assert "already exists as type float" in letter.message


def test_a_store_that_reconnects_starts_anew() -> None:
    """ThingsBoard's gateway recreated its buffer at each reconnect (#2124; in memory: #1507).

    Here what is unsettled is still in the spool when delivery ends, at any point.
    """
    spool = Spool([numbered(5)])
    first = Server(Refused(400, "bad"), TooLarge("413"), *[Deferred("gone")] * 1_000)

    async def scenario() -> None:
        await until_virtually(make(spool, first), lambda: len(first.requests) > 20)

    run(scenario())
    assert list(spool.rows.values()) == [numbered(5)]
    second = Server()
    deliver_all(spool, second)
    assert (second.stored, spool.dead) == (numbered(5), [])


def test_a_batch_is_sent_again_without_a_pause() -> None:
    """Telegraf keeps a batch on 401 and 500 and sends it at each flush, without backing off."""
    answers: list[Receipt] = [*[Deferred("HTTP 500")] * 12, Delivered()]
    spool, server = Spool([numbered(1)]), Server(*answers)
    deliver_all(spool, server, look_every_s=1.0)
    times = [at_s for at_s, _ in server.requests]
    assert times[-1] - times[0] > 60.0
