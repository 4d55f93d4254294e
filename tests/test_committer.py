"""Group commit: nothing is acknowledged before it is on disk, and nothing is forgotten."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.admission import Inlet, WhenFull
from gateway.committer import HURRY_SHARE
from gateway.model import Pin
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


async def free(rig: Rig) -> None:
    while not rig.committer.admission.has_room:  # noqa: ASYNC110 -- no event says so
        await asyncio.sleep(0)


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
