"""Who may bring how much: shares of memory and of the store, policies, and room that comes back."""

import asyncio
import math

import pytest

from gateway.admission import Admission, WhenFull
from gateway.errors import StoreError
from gateway.ledger import Stage
from gateway.model import Reason
from tests.fakes import Rig, Wire, turns
from tests.test_committer import add, free, running


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


async def test_a_message_larger_than_all_memory_neither_pauses_nor_sheds_sources_with_nothing() -> (
    None
):
    rig = Rig()
    admission = Admission(1_000)
    large, flood = Wire(), Wire()
    giant = admission.inlet(rig.ledger.account("giant", "mqtt"), WhenFull.BLOCK, valve=large)
    inlet = admission.inlet(rig.ledger.account("flood", "mqtt"), WhenFull.BLOCK, valve=flood)
    admission.take(inlet, 600)
    assert flood.paused
    admission.take(giant, 5_000)
    admission.give_back(inlet, 600)
    admission.yield_to(-1.0, "")
    assert not flood.paused, "a new connection of its would not be paused again"
    quiet = admission.inlet(rig.account, WhenFull.DROP_NEWEST)
    assert admission.refusal(quiet) is None
    admission.take(quiet, 100)
    assert admission.refusal(quiet) is Reason.DISK_SLOW


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
