"""Every row of the table of write answers that is about lines, on a real InfluxDB 1.x.

Lines go through the sink and the delivery, also such as the gateway's own encoder never makes: a
row says which of them end among the dead, with whose words, and what is stored in the end.
"""

import time
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.model import DeadLetter
from gateway.sinks.influxdb import InfluxSink, InfluxTarget
from tests.deliveries import NOW_NS, Counted, OneBatch, deliver
from tests.integration.influxd import Influxd, needs_influxd, sink_of

pytestmark = [pytest.mark.integration, needs_influxd]

GOOD = [b"m,device=a f=%d.0 %d" % (i, NOW_NS + i) for i in range(10)]
WEEK_NS = 7 * 86_400 * 10**9
LATER = [b"m,device=a f=%d.0 %d" % (i, NOW_NS + 4 * WEEK_NS + i) for i in range(10)]


class Row(NamedTuple):
    """One row of the table."""

    name: str
    sent: list[bytes]
    dead: dict[bytes, str] = {}  # noqa: RUF012 - never changed
    """The lines that end among the dead, each with a part of the server's words."""
    stored: int = -1
    """Points in the measurement `m`; -1: as many as lines that live."""
    before: list[bytes] = []  # noqa: RUF012
    """What is in the database already."""


def bad(line: bytes, words: str) -> Row:
    """A row with the line between two good ones."""
    return Row(f"{line[:40]!r}: {words}", [GOOD[0], line, GOOD[1]], {line: words})


TEXT = b'm f="text" %d' % NOW_NS
INTEGER = b"m f=5i,other=1.0 %d" % (NOW_NS + 99)
OTHER_SHARD = b'm f="text" %d' % (NOW_NS + 8 * WEEK_NS)
OLD_TAG = b"m,device=%s f=1 %d"

ROWS = [
    Row("good lines", GOOD),
    Row("an empty line", [b""], stored=0),
    Row("empty lines", [b"", b"", b""], stored=0),
    Row("comments", [b"# a", b"#"], stored=0),
    Row("all lines bad", [b"m f", b"m"], {b"m f": "invalid field", b"m": "missing fields"}, 0),
    Row(
        "some lines bad",
        [GOOD[0], b"bad line here", GOOD[1], b"worse"],
        {b"bad line here": "invalid field format", b"worse": "missing fields"},
    ),
    bad(b"m", "missing fields"),
    bad(b"m f= 5", "missing field value"),
    bad(b"m,t= f=1 5", "missing tag value"),
    bad(b"m f=1 x", "bad timestamp"),
    bad(b"m f=1 5 5", "point is invalid"),
    bad(b"m,t=a,t=b f=1 5", "duplicate tags"),
    bad(b"m f=truth 5", "invalid boolean"),
    bad(b"m f=1..2 5", "invalid number"),
    bad(b"m f=1e400 5", "invalid float"),
    Row("type conflict", [GOOD[1], TEXT, GOOD[2]], {TEXT: "as type float"}, 3, GOOD[:1]),
    Row("its other fields", [INTEGER, GOOD[1]], {INTEGER: "type integer"}, 2, GOOD[:1]),
    Row(
        "a conflict hides what cannot be parsed",
        [GOOD[1], TEXT, b"m f", GOOD[2]],
        {TEXT: "already exists as type float", b"m f": "invalid field format"},
        3,
        GOOD[:1],
    ),
    Row("conflict within a batch", [*GOOD[1:], TEXT], {TEXT: "as type float"}, 10, GOOD[:1]),
    Row("in a new shard", [GOOD[0], TEXT, *GOOD[1:]], {TEXT: "as type float"}, 10),
    Row(
        "in a new shard, others in another",
        [*LATER, GOOD[0], TEXT, *GOOD[1:]],
        {TEXT: "already exists as type float"},
        20,
    ),
    Row(
        "in a new shard, the first line wins",
        [TEXT, *GOOD],
        dict.fromkeys(GOOD, "already exists as type string"),
        1,
    ),
    Row("the far future", [b"m f=1 %d" % (NOW_NS + 520 * WEEK_NS)]),
    bad(b"m f=1 9223372036854775807", "time outside range"),
    bad(b"m f=1 99999999999999999999", "value out of range"),
    bad(b"m f=1 1720000000.5", "bad timestamp"),
    Row("negative times and 0", [b"m f=1 -5", b"m f=1 0"]),
    bad(b"m f=NaN 5", "invalid number"),
    bad(b"m f=nan 5", "invalid number"),
    bad(b"m f=inf 5", "invalid boolean"),
    bad(b"m f=Infinity 5", "invalid boolean"),
    bad(b"m f=+1 5", "invalid boolean"),
    bad(b"m f=5u 5", "invalid number"),
    bad(b"m f=9223372036854775808i 5", "unable to parse integer"),
    bad(b"m f=1.5i 5", "invalid number"),
    bad(b"m f=0x1f 5", "invalid number"),
    Row("a series key of 65 kB", [b"m,t=%s f=1 5" % (b"x" * 65_000)]),
    bad(b"m,t=%s f=1 5" % (b"x" * 66_000), "max key length exceeded"),
    Row("a text of 70 kB", [b'm f="%s" 5' % (b"x" * 70_000)]),
    Row("5,000 fields", [b"m " + b",".join(b"f%d=1" % i for i in range(5_000)) + b" 5"]),
    bad(b"m,time=1 f=1 5", "invalid tag key"),
    bad(b"m time=1 5", "invalid field name"),
    Row("a field time beside another", [b"m time=1,f=1 5"]),
    Row("a tag and a field of one name", [b"m,a=1 a=2,f=1 5"]),
    Row("a field twice, the last wins", [b"m f=1,f=2 5"]),
    bad(b"m f=1 5\r", "bad timestamp"),
    Row("a newline within a text", [b'm f="two\nlines" 5']),
    bad(b"m,t=a\\ f=1 5", "invalid tag format"),
    bad(b"m,t=a\\\\ f=1 5", "invalid tag format"),
    Row("no UTF-8", [b"m,t=a\xff f=1 5", b'm g="\xff" 6']),
    bad(b'm f="\x00 5', ""),
    Row("unusual characters", ["m,t=µ🌡,u=a\x00b,w=a\\ b\\,c\\=d f=1 5".encode()]),
    Row("another value for a point, the last wins", [GOOD[0], b"m,device=a f=7 %d" % NOW_NS]),
]
MERGED = {"another value for a point, the last wins": 1}


async def outcome(
    sink: InfluxSink, sent: list[bytes], counted: Counted | None = None
) -> tuple[dict[bytes, str], int]:
    """The dead with their words, and how many points are in `m` at the end."""
    spool = OneBatch(sent)
    await deliver(spool, counted or sink)
    points = await sink.query_v1('SELECT * FROM "m"')
    return words(spool.dead), len(points)


def words(dead: list[DeadLetter]) -> dict[bytes, str]:
    assert {letter.status for letter in dead} <= {400}
    found = {letter.line: letter.message for letter in dead}
    assert len(found) == len(dead), "each dies once"
    return found


@pytest.mark.parametrize(
    ("number", "row"), list(enumerate(ROWS)), ids=[row.name[:60] for row in ROWS]
)
async def test_what_becomes_of_lines(influxd: Influxd, number: int, row: Row) -> None:
    stored = row.stored if row.stored >= 0 else len(row.sent) - len(row.dead)
    async with sink_of(influxd, f"row{number}") as sink:
        if row.before:
            assert await outcome(sink, row.before) == ({}, len(row.before))
        dead, points = await outcome(sink, row.sent)
        assert dead.keys() == row.dead.keys()
        for line, part in row.dead.items():
            assert part in dead[line]
        assert points == MERGED.get(row.name, stored)
        dead, points = await outcome(sink, [line for line in row.sent if line not in dead])
        assert (dead, points) == ({}, MERGED.get(row.name, stored)), "sent again: the same points"


async def test_a_newline_within_a_tag_makes_two_lines_of_one(influxd: Influxd) -> None:
    """The encoder removes them. Such a line dies whole, though half of it may be stored."""
    line = b"m,t=a\nb f=1 5"
    async with sink_of(influxd, "split") as sink:
        dead, _ = await outcome(sink, [GOOD[0], line, GOOD[1]])
        assert dead.keys() == {line}
        assert "unable to parse 'm,t=a'" in dead[line]
        assert await sink.query_v1('SELECT * FROM "m"')


async def test_types_are_per_shard(influxd: Influxd) -> None:
    async with sink_of(influxd, "shards") as sink:
        assert await outcome(sink, GOOD) == ({}, 10)
        await outcome(sink, [OTHER_SHARD])
        assert len(await sink.query_v1('SELECT f::string FROM "m"')) == 1
        assert len(await sink.query_v1('SELECT f::float FROM "m"')) == 10


async def test_points_beyond_the_retention_policy(influxd: Influxd) -> None:
    """They hide what cannot be parsed; 10,000 of them cost no more requests than two."""
    influxd.query("CREATE DATABASE retained WITH DURATION 1h NAME hour")
    now_ns = time.time_ns()
    old = [b"m f=%d %d" % (i, now_ns - 7_200 * 10**9 + i) for i in range(10_000)]
    new = [b"m f=%d %d" % (i, now_ns + i) for i in range(100)]
    mixed = list(chain.from_iterable(zip(new, old, strict=False)))
    async with sink_of(influxd, "retained") as sink:
        counted = Counted(sink)
        dead, points = await outcome(sink, [*mixed, b"m f", *old[100:]], counted)
        assert dead.keys() == {*old, b"m f"}
        assert "points beyond retention policy" in dead[old[0]]
        assert "invalid field format" in dead[b"m f"]
        assert (points, counted.requests) == (100, 5)
        counted.requests = 0
        dead, points = await outcome(sink, old, counted)
        assert (len(dead), points, counted.requests) == (10_000, 100, 2)


CONFLICTING = [b"m f=%di,g=1 %d" % (i, NOW_NS + i) for i in range(10_000)]
UNREADABLE = [b"m f=%d.%d.%d %d" % (i, i, i, NOW_NS + i) for i in range(10_000)]
FINE = [b"m g=%d %d" % (i, NOW_NS + i) for i in range(10_000)]


@pytest.mark.parametrize(("count", "requests"), [(1, 3), (10, 3), (100, 3), (10_000, 2)])
@pytest.mark.parametrize("kind", ["conflict", "parse"])
async def test_ten_thousand_lines_cost_few_requests_however_many_are_bad(
    influxd: Influxd, kind: str, count: int, requests: int
) -> None:
    lines = list(FINE)
    for index in range(0, 10_000, 10_000 // count):
        lines[index] = (CONFLICTING if kind == "conflict" else UNREADABLE)[index]
    async with sink_of(influxd, f"{kind}{count}") as sink:
        await outcome(sink, GOOD)
        counted = Counted(sink)
        dead, points = await outcome(sink, lines, counted)
    assert dead.keys() == {*lines} - {*FINE}
    assert points == 10_000 - count + len(GOOD)
    # Longer than is read is the answer about 10,000 of them; after 100 there might be more.
    slack = 1 if kind == "parse" and count >= 100 else 0
    assert counted.requests <= requests + slack


@pytest.mark.parametrize("limit", ["max-values-per-tag", "max-series-per-database"])
async def test_too_many_values_of_a_tag_or_series(tmp_path: Path, limit: str) -> None:
    with Influxd(tmp_path, data=f"{limit} = 5") as server:
        async with sink_of(server, "few") as sink:
            known = [OLD_TAG % (b"d%d" % i, NOW_NS) for i in range(5)]
            assert await outcome(sink, known) == ({}, 5)
            more = [OLD_TAG % (b"d%d" % i, NOW_NS + 1) for i in range(9)]
            dead, points = await outcome(sink, more)
            assert dead.keys() == set(more[5:])
            assert all(f"{limit} limit exceeded" in text for text in dead.values())
            assert points == 10


async def test_a_retention_policy_that_is_named(influxd: Influxd) -> None:
    influxd.query('CREATE DATABASE "policies"')
    influxd.query('CREATE RETENTION POLICY "two w" ON "policies" DURATION 2w REPLICATION 1')
    target = InfluxTarget(1, influxd.url, database="policies", retention_policy="two w")
    async with InfluxSink(target, time.time_ns) as sink:
        now_ns = time.time_ns()
        spool = OneBatch([b"m f=1 %d" % now_ns, b"m f=1 %d" % (now_ns - 3 * WEEK_NS)])
        await deliver(spool, sink)
        assert len(spool.dead) == 1
        assert len(await sink.query_v1('SELECT * FROM "two w"."m"')) == 1
        assert await sink.query_v1('SELECT * FROM "m"') == []
