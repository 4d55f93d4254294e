"""Whole batches with bad lines through sink and delivery, against simulated servers of 3 versions.

In the end every good line is stored once, every bad one is dead with the server's words about it,
and few requests were needed: a bound that is reported, and must not be passed.
"""

import asyncio
from itertools import chain

import pytest

from simulators.influxdb import Fault, Influx
from simulators.influxdb_store import Limits
from tests.deliveries import NOW_NS, Counted, OneBatch, deliver
from tests.sinks.test_rude_servers import sink_of

FINE = [b"m,device=a g=%d %d" % (i, NOW_NS + i) for i in range(10_000)]
UNREADABLE = [b"m,device=a g=%d.%d.0 %d" % (i, i, NOW_NS + i) for i in range(10_000)]
CONFLICTING = [b'm,device=a f="%d",g=1 %d' % (i, NOW_NS + i) for i in range(10_000)]
KNOWN = [b"m,device=b f=1.0,g=1.0 %d" % NOW_NS]
OLD = [b"m,device=a g=%d %d" % (i, i) for i in range(10_000)]


def mixture(bad: list[bytes], count: int) -> list[bytes]:
    """10,000 lines, evenly so many of them bad."""
    lines = list(FINE)
    step = len(lines) // count
    for index in range(0, step * count, step):
        lines[index] = bad[index]
    return lines


async def outcome(server: Influx, lines: list[bytes]) -> tuple[dict[bytes, str], Counted]:
    """The dead with their words, and what it took."""
    spool = OneBatch(lines)
    async with sink_of(server.url, timeout_s=30.0, version=server.version) as sink:
        counted = Counted(sink)
        await deliver(spool, counted)
    words = {letter.line: letter.message for letter in spool.dead}
    assert len(words) == len(spool.dead), "each dies once"
    return words, counted


REQUESTS = {
    ("unreadable", 1): {1: 3, 2: 3, 3: 3},
    ("unreadable", 10): {1: 3, 2: 3, 3: 3},
    ("unreadable", 100): {1: 4, 2: 4, 3: 4},
    ("unreadable", 10_000): {1: 2, 2: 2, 3: 200},
    ("conflicting", 1): {1: 3, 2: 3, 3: 3},
    ("conflicting", 10): {1: 3, 2: 3, 3: 3},
    ("conflicting", 100): {1: 3, 2: 3, 3: 4},
    ("conflicting", 10_000): {1: 2, 2: 2, 3: 200},
}
"""Bounds by kind, number of bad lines of 10,000, and version: version 3 names 100 at a time."""
LINES_MAX = 60_000
"""Sent in all, where 20,000 would do: the whole batch once, and once more in its parts."""


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize(("kind", "count"), REQUESTS)
async def test_few_requests_find_all_bad_lines(version: int, kind: str, count: int) -> None:
    lines = mixture(UNREADABLE if kind == "unreadable" else CONFLICTING, count)
    words = "invalid number" if kind == "unreadable" else "already exists as type float"
    async with Influx(version) as server:
        await outcome(server, KNOWN)
        dead, took = await outcome(server, lines)
        assert dead.keys() == set(lines) - set(FINE)
        assert all(words in message for message in dead.values())
        assert len(server.points) == len(KNOWN) + 10_000 - count
    assert took.requests <= REQUESTS[kind, count][version]
    assert took.lines <= LINES_MAX


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("count", "most"), [(1, 3), (100, 3), (5_000, 3), (10_000, 2)])
async def test_points_that_are_too_old_cost_few_requests(
    version: int, count: int, most: int
) -> None:
    async with Influx(version, limits=Limits(oldest_ns=NOW_NS)) as server:
        lines = mixture(OLD, count)
        dead, took = await outcome(server, lines)
        assert dead.keys() == set(lines) - set(FINE)
        assert all("beyond retention policy" in message for message in dead.values())
        assert len(server.points) == 10_000 - count
    assert took.requests <= most


@pytest.mark.parametrize("version", [1, 2])
async def test_faults_of_three_kinds_at_once_are_told_apart(version: int) -> None:
    """Each hides the next: what is too old, what conflicts, what cannot be read."""
    lines = list(chain.from_iterable(zip(FINE[:50], OLD[:50], strict=True)))
    lines[7:7] = CONFLICTING[90:93]
    lines[50:50] = UNREADABLE[60:62]
    async with Influx(version, limits=Limits(oldest_ns=NOW_NS)) as server:
        await outcome(server, KNOWN)
        dead, took = await outcome(server, lines)
        assert dead.keys() == {*OLD[:50], *CONFLICTING[90:93], *UNREADABLE[60:62]}
        assert "already exists" in dead[CONFLICTING[91]]
        assert "beyond retention" in dead[OLD[3]]
        assert "invalid number" in dead[UNREADABLE[60]]
        assert len(server.points) == 50 + len(KNOWN)
    assert took.requests <= 10


async def test_two_fields_in_conflict_cost_two_more_requests() -> None:
    other = [b"m,device=a g=5i,h=1 %d" % (NOW_NS + i) for i in range(100, 200)]
    lines = [*FINE[:100], *CONFLICTING[200:300], *other, *FINE[300:]]
    async with Influx(1) as server:
        await outcome(server, KNOWN)
        dead, took = await outcome(server, lines)
        assert dead.keys() == {*CONFLICTING[200:300], *other}
    assert took.requests <= 6


@pytest.mark.parametrize("kind", ["unreadable", "conflicting"])
async def test_a_version_3_that_accepts_no_part_of_a_batch(kind: str) -> None:
    """It names the first bad line only, and stores nothing."""
    bad = UNREADABLE if kind == "unreadable" else CONFLICTING
    lines = [*FINE[:50], bad[50], *FINE[51:80], bad[80], bad[81], *FINE[82:100]]
    async with Influx(3, accept_partial=False) as server:
        await outcome(server, KNOWN)
        dead, took = await outcome(server, lines)
        assert dead.keys() == {bad[50], bad[80], bad[81]}
        assert len(server.points) == 97 + len(KNOWN)
    assert took.requests <= 7


async def test_version_3_tables_that_are_wide_enough_refuse_only_what_widens_them() -> None:
    wide = [b"m,device=a g=1,%s=1 %d" % (name, NOW_NS + 500) for name in (b"h", b"k")]
    lines = [*FINE[:30], wide[0], *FINE[30:60], wide[1], *FINE[60:90]]
    async with Influx(3, limits=Limits(columns=3)) as server:
        dead, _ = await outcome(server, lines)
        assert dead.keys() == set(wide)
        assert all("Update to schema" in message for message in dead.values())
        assert len(server.points) == 90


async def test_a_partial_write_with_status_201_is_taken_apart() -> None:
    """Some clouds store the good lines, say so with 201, and count neither."""
    body = '{"code": "invalid", "message": "partial write error (2 written)"}'
    lines = [*FINE[:9], UNREADABLE[9]]
    async with Influx(2) as server:
        server.faults.append(Fault(201, body))
        dead, _ = await outcome(server, lines)
        assert dead.keys() == {UNREADABLE[9]}
        assert len(server.points) == 9


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_bad_lines_in_a_storm_of_faults(version: int) -> None:
    """Whatever comes between two refusals, each line has one end."""
    lines = [*FINE[:40], UNREADABLE[40], *FINE[41:60], CONFLICTING[60], *FINE[61:80]]
    storm = [
        Fault(),
        Fault(503, headers={"Retry-After": "0"}),
        Fault(cut=True),
        Fault(cut=True, applied=True),
        Fault(500, '{"error": "timeout"}', applied=True),
        Fault(),
        Fault(429),
        Fault(413, "<html>too large</html>"),
        Fault(504),
        Fault(302, headers={"Location": "http://elsewhere.invalid/"}),
        Fault(401, "<html>log in</html>"),
        Fault(200, "<html>hello</html>", applied=True),
    ]
    async with Influx(version) as server:
        await outcome(server, KNOWN)
        server.faults.extend(storm)
        async with asyncio.timeout(30):
            dead, _ = await outcome(server, lines)
        assert not server.faults
        assert dead.keys() == {UNREADABLE[40], CONFLICTING[60]}
        assert len(server.points) == 78 + len(KNOWN)
