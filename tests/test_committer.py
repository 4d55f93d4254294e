"""Group commit: nothing is acknowledged before it is on disk, and nothing is forgotten."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.admission import Inlet, WhenFull
from gateway.committer import HURRY_SHARE
from gateway.errors import StoreError
from gateway.ledger import Stage
from gateway.model import Pin, Reason
from tests.fakes import Rig, Wire, observation, turns


def add(rig: Rig, *numbers: int, inlet: Inlet | None = None) -> None:
    """What a pipeline does with so many readings."""
    inlet = inlet or rig.inlet
    inlet.account.readings += len(numbers)
    rig.committer.add(inlet, [observation(number) for number in numbers])


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(rig.committer.run())
        yield
        rig.committer.stop()
        await task


async def test_what_was_added_is_committed_in_order_and_the_counts_move() -> None:
    rig = Rig()
    async with running(rig):
        add(rig, 1, 2)
        add(rig, 3)
        assert rig.account.uncommitted == 3
        assert rig.balanced()
        rig.committer.hurry()
        await turns()
        assert [row.time_ns % 10 for row in rig.disk.rows()] == [1, 2, 3]
        assert (rig.account.uncommitted, rig.account.spooled) == (0, 3)
    assert rig.balanced()


async def test_without_a_hurry_the_interval_decides() -> None:
    rig = Rig(interval_s=0.0)
    async with running(rig):
        add(rig, 1)
        await turns()
        assert len(rig.disk.rows()) == 1


async def test_an_acknowledgement_never_precedes_its_commit() -> None:
    rig = Rig()
    wire = Wire()
    async with running(rig):
        rig.worker.gate.clear()
        add(rig, 1)
        rig.committer.acknowledge_later(wire, 7)
        rig.committer.hurry()
        await turns()
        assert wire.acknowledged == []
        add(rig, 2)
        rig.committer.acknowledge_later(wire, 8)
        rig.worker.gate.set()
        await turns()
        assert wire.acknowledged == [7]
        rig.committer.hurry()
        await turns()
        assert wire.acknowledged == [7, 8]


async def test_a_message_without_observations_is_acknowledged_too() -> None:
    rig = Rig()
    wire = Wire()
    async with running(rig):
        rig.committer.acknowledge_later(wire, 7)
        rig.committer.hurry()
        await turns()
        assert wire.acknowledged == [7]


async def test_a_group_that_the_disk_refuses_is_kept_and_tried_again() -> None:
    rig = Rig()
    wire = Wire()
    rig.disk.failures = 3
    async with running(rig):
        add(rig, 1)
        rig.committer.acknowledge_later(wire, 7)
        rig.committer.hurry()
        await turns(200)
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert [row.time_ns % 10 for row in rig.disk.rows()] == [1]
        assert wire.acknowledged == [7]
        assert rig.committer.problem == ""
    assert rig.balanced()


async def test_stop_commits_what_is_there_also_on_a_disk_that_fails_for_a_while() -> None:
    rig = Rig()
    wire = Wire()
    rig.disk.failures = 1
    async with running(rig):
        rig.worker.gate.clear()
        add(rig, 1)
        rig.committer.hurry()
        await turns()
        add(rig, 2)
        rig.committer.acknowledge_later(wire, 7)
        rig.committer.stop()
        rig.worker.gate.set()
    assert [row.time_ns % 10 for row in rig.disk.rows()] == [1, 2]
    assert wire.acknowledged == [7]
    assert rig.balanced()


async def test_a_dead_disk_can_be_given_up() -> None:
    rig = Rig()
    rig.disk.failures = 10**9
    task = asyncio.create_task(rig.committer.run())
    add(rig, 1)
    rig.committer.stop()
    await asyncio.wait([task], timeout=0.01)
    task.cancel()
    await asyncio.wait([task])
    assert rig.account.uncommitted == 1
    assert rig.balanced()


async def test_a_full_spool_sheds_what_cannot_wait_counts_it_and_recovers() -> None:
    rig = Rig(interval_s=0.0)
    async with running(rig):
        rig.disk.fullness = 1.0
        add(rig, 1)
        await turns()
        assert "max_bytes" in rig.committer.problem
        add(rig, 2, 3)
        assert rig.account.shed == 2
        assert rig.balanced()
        rig.disk.fullness = -1.0
        await asyncio.wait_for(free(rig), 5)
        add(rig, 4)
        await turns()
    assert [row.time_ns % 10 for row in rig.disk.rows()] == [1, 4]
    assert rig.ledger.losses["mast", Stage.SHED, Reason.SPOOL_FULL].count == 2
    assert rig.balanced()


async def free(rig: Rig) -> None:
    while not rig.committer.admission.has_room:  # noqa: ASYNC110 -- no event says so
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("when_full", "pressure", "leaves", "taken"),
    [
        (WhenFull.BLOCK, 1.0, True, False),
        (WhenFull.BLOCK, math.inf, True, False),
        (WhenFull.DROP_NEWEST, 1.0, False, False),
        (WhenFull.DROP_NEWEST, math.inf, True, False),
        (WhenFull.DROP_OLDEST, 1.0, False, True),
        (WhenFull.DROP_OLDEST, math.inf, True, False),
    ],
)
async def test_a_source_that_can_wait_does_what_its_policy_says(
    when_full: WhenFull, pressure: float, *, leaves: bool, taken: bool
) -> None:
    rig = Rig(interval_s=0.0)
    wire = Wire()
    inlet = rig.committer.admission.inlet(rig.ledger.account("home", "mqtt"), when_full, wire)
    async with running(rig):
        rig.disk.fullness = pressure
        add(rig, 1)
        await turns()
        assert bool(wire.left) == leaves == rig.committer.admission.blocks(inlet)
        add(rig, 2, inlet=inlet)
        assert inlet.account.shed == (not taken)
        waiting = asyncio.ensure_future(rig.committer.ready(inlet))
        await turns()
        assert waiting.done() != leaves
        rig.disk.fullness = -1.0
        await asyncio.wait_for(waiting, 5)
    assert len(rig.disk.rows()) == 1 + taken
    dropped = [row for group in rig.disk.groups for row in group.droppable]
    assert len(dropped) == taken, "and only what it says may be dropped is"
    assert rig.balanced()


async def test_memory_is_bounded_while_the_disk_is_slow() -> None:
    rig = Rig(interval_s=0.0)
    async with running(rig):
        rig.worker.gate.clear()
        count = rig.disk.group_bytes_max // 100 // 2
        add(rig, *range(count // 2))
        rig.committer.hurry()
        await turns()
        add(rig, *range(count // 2, count))
        assert rig.account.shed == 0
        add(rig, 1)
        add(rig, 2, 3)
        assert rig.account.shed == 2
        assert rig.ledger.losses["mast", Stage.SHED, Reason.DISK_SLOW].count == 2
        rig.worker.gate.set()
        await turns()
        add(rig, 4)
        assert rig.account.shed == 2
    assert len(rig.disk.rows()) == count + 2
    assert rig.balanced()


async def test_a_flood_pauses_its_own_source_and_costs_the_others_nothing() -> None:
    rig = Rig(interval_s=1000.0)
    wire = Wire()
    flood = rig.committer.admission.inlet(rig.ledger.account("flood", "mqtt"), WhenFull.BLOCK, wire)
    others = [
        rig.committer.admission.inlet(
            rig.ledger.account(f"port{n}", "serial"), WhenFull.DROP_NEWEST
        )
        for n in range(10)
    ]
    async with running(rig):
        rig.worker.gate.clear()
        count = 0
        while not wire.paused:
            add(rig, *range(100), inlet=flood)
            count += 100
        assert count == rig.disk.group_bytes_max // 100 // 2 + 100
        for other in others:
            add(rig, *range(500), inlet=other)
        assert all(other.account.shed == 0 for other in others)
        rig.worker.gate.set()
        await turns()
        assert not wire.paused, "it goes on once the disk has it"
        assert wire.left == []
    assert len(rig.disk.rows()) == count + 5_000
    assert rig.balanced()


async def test_while_the_store_fills_up_the_sources_that_bring_most_are_stopped_first() -> None:
    rig = Rig(interval_s=0.0)
    wires = [Wire() for _ in range(4)]
    inlets = [
        rig.committer.admission.inlet(
            rig.ledger.account(f"broker{n}", "mqtt"), WhenFull.BLOCK, wire
        )
        for n, wire in enumerate(wires)
    ]

    async def stopped(pressure: float) -> list[int]:
        rig.disk.fullness = pressure
        add(rig, 1)
        for _ in range(50):
            await asyncio.sleep(0.001)
        return [n for n, inlet in enumerate(inlets) if rig.committer.admission.blocks(inlet)]

    async with running(rig):
        for count, inlet in zip((1, 100, 1000, 10), inlets, strict=True):
            add(rig, *range(count), inlet=inlet)
        assert await stopped(0.0) == []
        assert await stopped(0.01) == [2]
        assert await stopped(0.85) == [2]
        assert await stopped(0.95) == [1, 2]
        assert await stopped(0.2) == [1, 2], "until there is ample room"
        assert [bool(wire.left) for wire in wires] == [False, True, True, False]
        assert rig.account.shed == 0
        assert await stopped(-0.5) == []
        assert await stopped(1.0) == [0, 1, 2, 3]
        assert await stopped(-1.0) == []
    assert rig.balanced()


async def test_a_large_group_is_committed_at_once() -> None:
    rig = Rig(interval_s=1000.0)
    async with running(rig):
        add(rig, *range(rig.disk.group_bytes_max // 100 // HURRY_SHARE))
        await turns()
        assert rig.disk.groups == []
        add(rig, 1)
        await turns()
        assert len(rig.disk.groups) == 1


async def test_a_source_comes_again_when_what_it_brought_is_on_disk() -> None:
    rig = Rig(interval_s=1000.0)
    inlet = rig.committer.admission.inlet(
        rig.ledger.account("home", "mqtt"), WhenFull.BLOCK, Wire()
    )
    async with running(rig):
        rig.worker.gate.clear()
        add(rig, 1, inlet=inlet)
        waiting = asyncio.ensure_future(rig.committer.ready(inlet))
        await turns()
        assert not waiting.done()
        rig.worker.gate.set()
        await turns()
        assert waiting.done()


async def test_a_disk_that_cannot_be_asked_for_room_is_full_and_loses_nothing() -> None:
    rig = Rig(interval_s=0.0)

    def fail() -> float:
        raise StoreError("the disk cannot be read")

    async with running(rig):
        rig.disk.pressure = fail  # type: ignore[method-assign]
        add(rig, 1)
        await turns()
        assert not rig.committer.admission.has_room
        assert rig.committer.problem == "the disk cannot be read"
        assert len(rig.disk.rows()) == 1, "committed once, for only the question failed"
        del rig.disk.pressure
        await asyncio.wait_for(free(rig), 5)
    assert rig.balanced()


async def test_a_group_carries_pins_units_and_the_identity_of_its_messages() -> None:
    rig = Rig()
    async with running(rig):
        rig.catalogue.pin("sensor", "temperature", is_text=False)
        rig.catalogue.publish_unit("sensor", "temperature", "Cel")
        rig.committer.remember("home", 7, b"12345678")
        add(rig, 1)
        rig.committer.hurry()
        await turns()
    group = rig.disk.groups[0]
    assert group.pins == [Pin("sensor", "temperature", is_text=False)]
    assert group.seen == {"home": [(7, b"12345678")]}
    units = [row for row in group.rows if row.series.measurement == "units"]
    assert [dict(row.fields) for row in units] == [{"unit": "Cel"}]
    assert rig.balanced()


async def test_units_wait_while_there_is_no_room() -> None:
    rig = Rig(interval_s=0.0)
    rig.disk.fullness = 1.0
    async with running(rig):
        add(rig, 1)
        await turns()
        rig.catalogue.publish_unit("sensor", "temperature", "Cel")
        await turns()
        assert rig.ledger.losses == {}
        rig.disk.fullness = -1.0
        await asyncio.wait_for(free(rig), 5)
        add(rig, 2)
        await turns()
    assert [row.series.measurement for row in rig.disk.rows()] == ["sensor", "sensor", "units"]
    assert rig.balanced()


async def test_a_forgotten_session_takes_its_uncommitted_messages_along() -> None:
    rig = Rig()
    async with running(rig):
        rig.committer.remember("home", 7, b"12345678")
        rig.committer.forget("home", lambda: None)
        rig.committer.remember("home", 8, b"87654321")
        rig.committer.hurry()
        await turns()
    assert rig.disk.groups[0].forget == {"home"}
    assert rig.disk.groups[0].seen == {"home": [(8, b"87654321")]}


async def test_observers_see_what_was_taken_and_commits_are_announced() -> None:
    rig = Rig()
    seen: list[str] = []
    commits: list[int] = []
    rig.committer.observers.append(lambda source, _: seen.append(source))
    rig.committer.on_commit.append(lambda: commits.append(len(rig.disk.rows())))
    async with running(rig):
        add(rig, 1, 2)
    assert seen == ["mast", "mast"]
    assert commits[0] == 2


async def test_a_source_that_waits_for_room_does_not_keep_the_disk_busy() -> None:
    rig = Rig(interval_s=3600.0)
    inlet = rig.committer.admission.inlet(rig.account, WhenFull.BLOCK, Wire())
    looks: list[float] = []

    def full() -> float:
        looks.append(math.inf)
        return math.inf

    rig.disk.pressure = full  # type: ignore[method-assign]
    async with running(rig):
        add(rig, 1, inlet=inlet)
        waiting = asyncio.ensure_future(rig.committer.ready(inlet))
        await turns(100)
        assert (len(looks), waiting.done()) == (1, False)
        waiting.cancel()
