"""The sink and the delivery against a real InfluxDB 1.x."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from gateway.backoff import Backoff
from gateway.delivery import Delivery, State
from gateway.errors import TransportError
from gateway.model import (
    Batch,
    DeadLetter,
    Deferred,
    Delivered,
    FieldValue,
    Halted,
    Observation,
    Refused,
    TimeSource,
    TooLarge,
)
from gateway.sinks.influxdb import InfluxSink, InfluxTarget
from gateway.sinks.line_protocol import encode, make_series
from simulators.influxdb import Influx
from tests.integration.influxd import Influxd, needs_influxd

pytestmark = [pytest.mark.integration, needs_influxd]

NOW_NS = 1_720_000_000 * 10**9


@pytest.fixture(scope="module")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    with Influxd(tmp_path_factory.mktemp("influx")) as server:
        yield server


def sink_of(server: Influxd, database: str, timeout_s: float = 10.0) -> InfluxSink:
    return InfluxSink(
        InfluxTarget(1, server.url, database=database, timeout_s=timeout_s), time.time_ns
    )


def lines(count: int, start: int = 0) -> list[bytes]:
    return [b"m,device=a f=%d.0 %d" % (i, NOW_NS + i) for i in range(start, start + count)]


class OneBatch:
    """A spool with one batch, and what became of it."""

    def __init__(self, content: list[bytes]) -> None:
        self.batch: Batch | None = Batch((1,), content, sum(map(len, content)) + len(content))
        self.dead: list[DeadLetter] = []
        self.settled = asyncio.Event()

    async def read(self, max_bytes: int, max_lines: int, *, newest: bool) -> Batch | None:
        taken, self.batch = self.batch, None
        return taken

    async def settle(self, rows: Sequence[int], delivered: int, dead: Sequence[DeadLetter]) -> None:
        self.batch = None
        self.dead += dead
        self.settled.set()


def delivery_of(spool: OneBatch, sink: InfluxSink) -> Delivery:
    return Delivery(
        spool,
        sink,
        flush_interval_s=0.01,
        batch_bytes=1_000_000,
        newest_first=False,
        backoff=Backoff(0.05, 0.2, Random(1)),
        disk_backoff=Backoff(0.05, 0.2, Random(2)),
        halt_pause_s=0.1,
        now_ns=time.time_ns,
    )


async def deliver(spool: OneBatch, sink: InfluxSink) -> Delivery:
    delivery = delivery_of(spool, sink)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        task = group.create_task(delivery.run())
        await spool.settled.wait()
        task.cancel()
    return delivery


async def test_the_database_is_created_and_lines_are_stored(influxd: Influxd) -> None:
    async with sink_of(influxd, 'new "db" ä') as sink:
        assert (await sink.ping()).startswith("1.")
        assert await sink.write(lines(3)) == Delivered()
        assert await sink.write(lines(3)) == Delivered()
        rows = await sink.query_v1('SELECT * FROM "m"')
    assert rows == [{"time": NOW_NS + i, "device": "a", "f": i} for i in range(3)]


async def test_nasty_texts_come_back_as_they_were_encoded(influxd: Influxd) -> None:
    texts = [
        'plain "q" \\ , = \\\\',
        "#comment",
        "time",
        "µ° € 🌡",
        "a\\,b\\ c\\=d\\",
        "%s",
        "_x",
        "two\nlines\x00",
        "\ud800",
        "v" * 70_000,
    ]
    rng = Random(815)
    alphabet = 'ab ,=\\"\n#_%é\x00'
    texts += ["".join(rng.choices(alphabet, k=rng.randrange(1, 8))) for _ in range(300)]
    encoded, expected = [], []
    for i, text in enumerate(texts):
        series = make_series("nasty", {"device": f"d{i}", text: text, "note": text})
        fields: dict[str, FieldValue] = {"text": text, "number": i + 0.1, text: 2.0}
        if text == "time":
            fields = {"text": text, "number": i + 0.1}
        encoded.append(encode(Observation(series, fields, NOW_NS + i, 0, TimeSource.ARRIVAL)))
        expected.append(dict(series.tags))
    async with sink_of(influxd, "nasty") as sink:
        assert await sink.write(encoded) == Delivered()
        rows = await sink.query_v1('SELECT * FROM "nasty"')
    assert [row["time"] for row in rows] == [NOW_NS + i for i in range(len(texts))]
    for i, (row, tags) in enumerate(zip(rows, expected, strict=True)):
        assert row["number"] == i + 0.1
        assert row.items() >= tags.items()
        if texts[i].isprintable():
            assert row["text"] == texts[i]


async def test_only_what_the_database_refuses_dies(influxd: Influxd) -> None:
    """Unparsable, of another type in a brand-new shard, of another type later."""
    content = [
        lines(1)[0],
        b'm f="text" %d' % NOW_NS,
        *lines(20, 1),
        b"no line at all",
        *lines(5, 21),
    ]
    spool = OneBatch(content)
    async with sink_of(influxd, "bisected") as sink:
        await deliver(spool, sink)
        stored = await sink.query_v1('SELECT * FROM "m"')
        assert [row["f"] for row in stored] == list(range(26))
        assert {letter.line for letter in spool.dead} == {content[1], content[22]}
        words = {letter.line: letter.message for letter in spool.dead}
        assert "already exists as type float" in words[content[1]]
        assert "unable to parse" in words[content[22]]


async def test_partial_writes_and_conflicts_are_told_apart(influxd: Influxd) -> None:
    async with sink_of(influxd, "partial") as sink:
        receipt = await sink.write([lines(1)[0], b'm f="x" %d' % NOW_NS, lines(2)[1]])
        assert isinstance(receipt, Refused)
        assert receipt.message.startswith("partial write: field type conflict")
        receipt = await sink.write([b"bad", lines(3)[2]])
        assert isinstance(receipt, Refused)
        assert "unable to parse" in receipt.message
        assert len(await sink.query_v1('SELECT * FROM "m"')) == 3


async def test_a_missing_retention_policy_halts(influxd: Influxd) -> None:
    target = InfluxTarget(1, influxd.url, database="rp", retention_policy="nosuch")
    async with InfluxSink(target, time.time_ns) as sink:
        receipt = await sink.write(lines(1))
        assert isinstance(receipt, Halted)
        assert "retention policy not found" in receipt.problem


async def test_version_2_and_3_targets_on_a_version_1_server_halt(influxd: Influxd) -> None:
    for version in (2, 3):
        target = InfluxTarget(version, influxd.url, database="x", bucket="x", org="x")
        async with InfluxSink(target, time.time_ns) as sink:
            assert await sink.write(lines(1)) == Halted("HTTP 404: 404 page not found")


async def test_a_small_limit_of_the_server_only_makes_requests_smaller(tmp_path: Path) -> None:
    rng = Random(3)
    content = [b"m f=%r %d" % (rng.random(), NOW_NS + i) for i in range(2000)]
    with Influxd(tmp_path, body_bytes_max=10_000) as server:
        spool = OneBatch(content)
        async with sink_of(server, "small") as sink:
            assert isinstance(await sink.write(content), TooLarge | Halted)
            await deliver(spool, sink)
            rows = await sink.query_v1('SELECT count("f") FROM "m"')
        assert rows[0]["count"] == 2000
        assert spool.dead == []


async def test_credentials(tmp_path: Path) -> None:
    with Influxd(tmp_path, auth=True) as server:
        server.query("CREATE USER root WITH PASSWORD 'p:w' WITH ALL PRIVILEGES")
        for username, password in (("", ""), ("root", "wrong"), ("nobody", "p:w")):
            target = InfluxTarget(1, server.url, database="d", username=username, password=password)
            async with InfluxSink(target, time.time_ns) as sink:
                receipt = await sink.write(lines(1))
                assert isinstance(receipt, Halted)
                assert "401" in receipt.problem
                with pytest.raises(TransportError, match="401"):
                    await sink.query_v1("SHOW DATABASES")
        right = InfluxTarget(1, server.url, database="d", username="root", password="p:w")
        async with InfluxSink(right, time.time_ns) as sink:
            assert await sink.write(lines(1)) == Delivered()
        server.query("CREATE USER writer WITH PASSWORD 'w'", "", "root", "p:w")
        server.query("GRANT WRITE ON d TO writer", "", "root", "p:w")
        limited = InfluxTarget(1, server.url, database="new", username="writer", password="w")
        async with InfluxSink(limited, time.time_ns) as sink:
            receipt = await sink.write(lines(1))
            assert isinstance(receipt, Halted)
            assert "403" in receipt.problem


@pytest.mark.parametrize("size", [1, 20_000])
async def test_a_frozen_server_defers_in_time_and_each_line_is_stored_once(
    tmp_path: Path, size: int
) -> None:
    content = [b"m f=%d.%d %d" % (i, i * 7919 % 10_007, NOW_NS + i) for i in range(size)]
    with Influxd(tmp_path) as server:
        server.query('CREATE DATABASE "frozen"')
        async with sink_of(server, "frozen", timeout_s=0.5) as sink:
            server.suspend()
            async with asyncio.timeout(5):
                receipt = await sink.write(content)
            assert isinstance(receipt, Deferred)
            assert "no answer within 0.5 s" in receipt.problem
            spool = OneBatch(content)
            delivery = delivery_of(spool, sink)
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                task = group.create_task(delivery.run())
                while delivery.state != State.WAITING:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                assert "no answer" in delivery.problem
                server.resume()
                await spool.settled.wait()
                task.cancel()
            assert delivery.problem == ""
            rows = await sink.query_v1('SELECT count("f") FROM "m"')
        assert rows[0]["count"] == size


async def test_a_killed_server_is_waited_for(tmp_path: Path) -> None:
    with Influxd(tmp_path) as server:
        async with sink_of(server, "killed") as sink:
            assert await sink.write(lines(5)) == Delivered()
            server.kill()
            assert isinstance(await sink.write(lines(5, 5)), Deferred)
            server.start()
            assert await sink.write(lines(5, 5)) == Delivered()
            assert len(await sink.query_v1('SELECT * FROM "m"')) == 10


async def test_the_simulated_server_answers_like_the_real_one(influxd: Influxd) -> None:
    """The twin does not lie: each batch in turn, on a database of its own."""
    conflict = b'm f="x" %d' % (NOW_NS + 1)
    week = b"m f=%di %d" % (1, NOW_NS + 30 * 86_400 * 10**9)
    cases = [
        lines(2),
        [b"m f"],
        [b"m f=nan", lines(1)[0]],
        [conflict],
        [lines(1)[0], conflict, lines(2)[1]],
        [week],
        [b"m,a=1,a=2 f=1"],
        [b"m,a=b\\ f=1 1"],
        [b"m,time=1 f=1 1"],
        [b"m f=1e400"],
        [b"m f=99999999999999999999i"],
        [b"m f=1 99999999999999999999"],
        [b"# only a comment"],
    ]
    async with Influx(1, databases=()) as twin, sink_of(influxd, "twin") as real:
        target = InfluxTarget(1, twin.url, database="twin")
        async with InfluxSink(target, time.time_ns) as simulated:
            for case in cases:
                said, expected = await simulated.write(case), await real.write(case)
                assert type(said) is type(expected), (case, said, expected)
                if isinstance(said, Refused) and isinstance(expected, Refused):
                    assert said.status == expected.status
                    assert said.message.split(" ")[:2] == expected.message.split(" ")[:2], case
        stored = await real.query_v1('SELECT * FROM "m"')
    assert len(twin.points) == len(stored)
