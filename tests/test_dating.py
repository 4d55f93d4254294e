"""What arrives without a time is committed all the same, waits, and gets its time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from gateway.backoff import Backoff
from gateway.dating import Dating
from gateway.model import Observation, Series, TimeSource
from gateway.series import SeriesHistory, SeriesRegistry
from tests.fakes import NOON, Machine, Rig, Wire, turns

SECOND = 10**9
SERIES = Series("sensor", (("device", "a"),), "sensor,device=a")
PATIENCE_S = 5.0


class Bench:
    """A machine without a clock, a committer, and the dating between them."""

    def __init__(self) -> None:
        self.machine = Machine(synchronized=False)
        self.clock = self.machine.clock()
        self.rig = Rig(clock=self.clock)
        self.registry = SeriesRegistry()
        self.releases = 0
        self.dating = Dating(
            self.clock,
            self.rig.disk,
            self.rig.worker,
            self.registry,
            backoff=Backoff(0.0, 0.0, Random(1)),
            released=self._count,
        )
        self.rig.committer.on_commit.append(self.dating.notify)

    def _count(self) -> None:
        self.releases += 1

    def add(self, value: float = 1.0) -> Observation:
        history = self.registry.history(SERIES)
        placed = history.place({"t": value}, self.clock(), None)
        assert isinstance(placed, Observation)
        self.rig.account.readings += 1
        self.rig.committer.add(self.rig.inlet, [placed])
        return placed

    async def commit(self) -> None:
        self.rig.committer.hurry()
        await turns()

    def synchronize(self) -> None:
        """As the watch finds it at its next look."""
        self.machine.synchronized = True
        self.clock.set_up(trust=False, wait_s=600.0)

    def times(self) -> list[int]:
        return [row.time_ns for row in self.rig.disk.rows()]


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[None]:
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(bench.dating.run()),
            group.create_task(bench.rig.committer.run()),
        ]
        yield
        bench.rig.committer.stop()
        await tasks[1]
        tasks[0].cancel()


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next look at the clock comes at the next turn of the loop."""
    monkeypatch.setattr("gateway.clock.LOOK_S", 0.0)


@pytest.mark.usefixtures("no_pause")
async def test_readings_wait_on_disk_acknowledged_and_get_their_time_together() -> None:
    bench = Bench()
    wire = Wire()
    async with running(bench):
        for _ in range(3):
            bench.machine.advance(1)
            bench.add()
        bench.rig.committer.acknowledge_later(wire, 7)
        await bench.commit()
        assert bench.times() == []
        assert bench.rig.disk.held() == 3
        assert wire.acknowledged == [7]
        assert bench.rig.balanced()
        assert bench.dating.problem == (
            "the clock is not synchronized: 3 readings wait for their time"
        )
        bench.machine.step(1000)
        bench.synchronize()
        await turns()
        assert bench.times() == [NOON + (1000 + n) * SECOND for n in (1, 2, 3)]
        assert bench.dating.problem == ""
        assert bench.releases >= 3
        assert bench.rig.balanced()


@pytest.mark.usefixtures("no_pause")
async def test_what_was_under_way_when_the_time_came_is_released_after_its_commit() -> None:
    bench = Bench()
    async with running(bench):
        await turns()
        bench.machine.advance(1)
        bench.add()
        bench.synchronize()
        await turns()
        assert bench.times() == []
        bench.add(2.0)
        await bench.commit()
        await turns()
        assert sorted(bench.times()) == [NOON + SECOND, NOON + SECOND + 1]
    assert bench.rig.disk.held() == 0


@pytest.mark.usefixtures("no_pause")
async def test_a_disk_that_fails_delays_the_release_and_ends_nothing() -> None:
    bench = Bench()
    async with running(bench):
        bench.add()
        await bench.commit()
        bench.rig.disk.failures = 3
        bench.synchronize()
        while bench.rig.disk.failures:
            assert bench.times() == []
            await asyncio.sleep(0)
        await turns()
        assert bench.times() == [NOON]
        assert bench.dating.problem == ""


async def test_with_a_clock_that_is_right_nothing_waits() -> None:
    bench = Bench()
    bench.synchronize()
    async with running(bench):
        bench.add()
        await bench.commit()
        assert bench.times() == [NOON]


@pytest.mark.usefixtures("no_pause")
async def test_durations_do_not_follow_the_clock() -> None:
    """From since the start to a date are decades, and a step back is less than nothing."""
    bench = Bench()
    async with running(bench):
        bench.add()
        bench.synchronize()
        await bench.commit()
        bench.add()
        bench.machine.step(-3600)
        await bench.commit()
    latency = bench.rig.ledger.commit_latency
    assert latency.total == 2
    longest = latency.quantile_s(1.0)
    assert longest is not None
    assert longest < PATIENCE_S


def test_a_series_knows_its_arrivals_again_when_they_have_a_date() -> None:
    registry = SeriesRegistry()
    history: SeriesHistory = registry.history(SERIES)
    placed = history.place({"t": 1.0}, 5 * SECOND, None)
    registry.date(NOON)
    again = history.place({"t": 2.0}, NOON + 5 * SECOND, None)
    assert isinstance(placed, Observation)
    assert isinstance(again, Observation)
    assert placed.time_ns + NOON != again.time_ns
    assert again.time_source is TimeSource.ARRIVAL
