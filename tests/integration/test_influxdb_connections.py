"""Connections that break and credentials that don't fit, on a real InfluxDB 1.x.

Whatever is cut, frozen or killed: what the database confirmed is there, and each line is there
once. Whoever is not let in keeps everything.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.delivery import State
from gateway.errors import TransportError
from gateway.model import Deferred, Delivered, Halted
from gateway.sinks.influxdb import InfluxSink, InfluxTarget
from tests.deliveries import LIMIT_S, OneBatch, deliver, delivering, lines, noisy, until
from tests.integration.influxd import Influxd, count, needs_influxd, sink_of
from tests.integration.relay import Relay

pytestmark = [pytest.mark.integration, needs_influxd]


@pytest.mark.parametrize("bytes_max", [1, 100, 400, 20_000])
async def test_a_connection_cut_in_the_body_stores_nothing_and_each_line_arrives_once(
    influxd: Influxd, bytes_max: int
) -> None:
    database = f"cut{bytes_max}"
    influxd.query(f"CREATE DATABASE {database}")
    spool = OneBatch(noisy(5_000))
    async with Relay(influxd.url, cuts=1, bytes_max=bytes_max, answers=False).running() as relay:
        target = InfluxTarget(1, relay.url, database=database)
        async with InfluxSink(target, time.time_ns) as sink:
            receipt = await sink.write(noisy(5_000))
            assert isinstance(receipt, Deferred)
            assert (await count(sink), relay.cut) == (0, 1)
            await deliver(spool, sink)
            assert (await count(sink), spool.dead) == (5_000, [])


@pytest.mark.parametrize("bytes_max", [1, 20, 100])
async def test_an_answer_that_is_cut_may_mean_stored_and_each_line_is_there_once(
    influxd: Influxd, bytes_max: int
) -> None:
    database = f"mute{bytes_max}"
    influxd.query(f"CREATE DATABASE {database}")
    spool = OneBatch(noisy(500))
    async with Relay(influxd.url, cuts=3, bytes_max=bytes_max, answers=True).running() as relay:
        target = InfluxTarget(1, relay.url, database=database)
        async with InfluxSink(target, time.time_ns) as sink:
            await deliver(spool, sink)
            assert relay.cut == 3
            assert (await count(sink), spool.dead) == (500, [])


async def test_a_line_too_slow_for_a_whole_batch_still_brings_everything(
    influxd: Influxd,
) -> None:
    """At 100 kB/s and a time-out of 0.5 s at most 50 kB get through in one request."""
    influxd.query("CREATE DATABASE slow")
    spool = OneBatch(noisy(10_000))
    async with Relay(influxd.url, bytes_per_s=100_000).running() as relay:
        target = InfluxTarget(1, relay.url, database="slow", timeout_s=0.5)
        async with InfluxSink(target, time.time_ns) as sink:
            receipt = await sink.write(noisy(10_000))
            assert isinstance(receipt, Deferred)
            assert receipt.smaller
            await deliver(spool, sink)
            assert (await count(sink), spool.dead) == (10_000, [])


async def test_a_write_that_timed_out_is_applied_later_and_not_doubled(tmp_path: Path) -> None:
    with Influxd(tmp_path) as server:
        server.query("CREATE DATABASE frozen")
        async with sink_of(server, "frozen", timeout_s=0.3) as sink:
            server.suspend()
            receipt = await sink.write(lines(100))
            assert isinstance(receipt, Deferred)
            assert receipt.smaller
            server.resume()
            async with asyncio.timeout(LIMIT_S):
                # The server applies what nobody waits for.
                while await count(sink) != 100:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert await sink.write(lines(100)) == Delivered()
            assert await count(sink) == 100


async def test_what_was_answered_survives_a_kill_and_the_rest_arrives_after_it(
    tmp_path: Path,
) -> None:
    """Ten kills in the middle of a stream of batches: each line is there, once."""
    with Influxd(tmp_path) as server:
        server.query("CREATE DATABASE killed")
        async with sink_of(server, "killed", timeout_s=2.0) as sink:
            for number in range(10):
                content = lines((number + 1) * 2_000)[number * 2_000 :]
                spool = OneBatch(content)
                async with delivering(spool, sink):
                    await asyncio.sleep(0.003 * number)
                    server.kill()
                    await asyncio.to_thread(server.start)
                    await spool.settled.wait()
                assert spool.dead == []
            assert await count(sink) == 20_000


def user_of(server: Influxd, username: str, password: str, database: str = "d") -> InfluxSink:
    target = InfluxTarget(1, server.url, database=database, username=username, password=password)
    return InfluxSink(target, time.time_ns)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """A server with users: one who may all, one who may read, one who may write."""
    with Influxd(tmp_path_factory.mktemp("guarded"), auth=True) as server:
        server.query("CREATE USER root WITH PASSWORD 'p:w' WITH ALL PRIVILEGES")
        server.query("CREATE DATABASE d", "", "root", "p:w")
        for name in ("reader", "writer"):
            server.query(f"CREATE USER {name} WITH PASSWORD 'x'", "", "root", "p:w")
        server.query("GRANT READ ON d TO reader", "", "root", "p:w")
        server.query("GRANT WRITE ON d TO writer", "", "root", "p:w")
        yield server


async def test_before_there_is_a_user_nothing_can_be_created(tmp_path: Path) -> None:
    with Influxd(tmp_path, auth=True) as server:
        async with sink_of(server, "d") as sink:
            receipt = await sink.write(lines(1))
            assert isinstance(receipt, Halted)
            assert "create admin user first" in receipt.problem


async def test_whoever_is_not_let_in_keeps_everything(guarded: Influxd) -> None:
    words = {
        ("", ""): "HTTP 401: unable to parse authentication credentials",
        ("root", "wrong"): "HTTP 401: authorization failed",
        ("nobody", "x"): "HTTP 401: authorization failed",
        ("reader", "x"): 'HTTP 403: "reader" user is not authorized to write to database "d"',
    }
    for (username, password), problem in words.items():
        spool = OneBatch(lines(2))
        async with user_of(guarded, username, password) as sink, delivering(spool, sink) as halted:
            await until(lambda halted=halted: halted.state == State.HALTED)  # type: ignore[misc]
            assert halted.problem == problem
            assert (spool.dead, spool.settled.is_set()) == ([], False)
    for username, password in (("root", "p:w"), ("writer", "x")):
        async with user_of(guarded, username, password) as sink:
            assert await sink.write(lines(2)) == Delivered()
    async with user_of(guarded, "writer", "x", "elsewhere") as sink:
        receipt = await sink.write(lines(2))
        assert isinstance(receipt, Halted)
        assert "database not found" in receipt.problem
        assert "creating it failed" in receipt.problem
        with pytest.raises(TransportError, match="403"):
            await sink.ensure_database()


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        ("Bearer abc", "bearer auth disabld"),
        ("Token root:p:w", "unable to parse authentication credentials"),
        ("Nonsense", "unable to parse authentication credentials"),
    ],
)
async def test_other_schemes_halt(guarded: Influxd, scheme: str, words: str) -> None:
    async with user_of(guarded, "root", "p:w") as sink:
        sink._headers = {"Authorization": scheme}
        assert await sink.write(lines(1)) == Halted(f"HTTP 401: {words}")
