"""What the console says of a gateway is so, and belongs together."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.console.status import (
    DEVICES_MAX,
    FIELDS_MAX,
    TEXT_MAX,
    Status,
    health,
    imbalances,
    status,
)
from gateway.delivery import State
from gateway.ledger import Stage
from gateway.model import Group, Reason
from tests.console.rig import Rig

LOOKS_MAX = 10_000_000


async def look(rig: Rig) -> Status:
    """The status as a reader of the JSON sees it."""
    found = status(rig.gateway, await imbalances(rig.gateway))
    read: Status = json.loads(json.dumps(found))
    return read


async def test_a_gateway_at_work(rig: Rig) -> None:
    rig.say('{"id": "kitchen", "temperature": 70.7, "unit": "x"}', "no json")
    rig.say('{"id": "kitchen", "humidity": 40}', after_s=60.0)
    await rig.commit()
    found = await look(rig)
    assert found["name"] == "attic"
    assert found["started"] == "2026-01-01T00:00:00.000Z"
    assert found["time"] == "2026-01-01T00:01:01.000Z"
    assert found["uptime_s"] == 61.0
    assert found["health"] == {"status": "ok", "problems": []}
    mast = found["ledger"]["sources"]["mast"]
    assert (mast["kind"], mast["connected"], mast["counts"]["frames"]) == ("serial", True, 3)
    assert mast["last_frame"] == found["time"]
    assert found["store"]["kind"] == "spool"
    assert found["store"]["pending_lines"] == rig.store.totals().pending > 0
    assert found["store"]["pending_bytes"] > 0
    assert found["store"]["has_room"] is True
    assert found["commit_latency"]["count"] == found["store"]["pending_lines"]
    assert found["delivery"] == {
        "state": "idle",
        "problem": "",
        "delivered_lines": 0,
        "last_delivered": None,
    }
    assert found["process"]["cpu_s"] > 0


async def test_every_equation_shows_where_things_went(rig: Rig) -> None:
    rig.say('{"temperature": 20, "humidity": "nan"}', "no json", '{"temperature": NaN}')
    await rig.commit()
    rig.say('{"temperature": 21}')
    rig.account.polls, rig.account.answered, rig.account.outstanding = 3, 2, 1
    ledger = (await look(rig))["ledger"]
    assert ledger["balanced"] is True
    for equation in ledger["equations"]:
        assert equation["balanced"]
        assert sum(equation["came"].values()) == sum(equation["went"].values()) > 0
    by_name = {equation["name"]: equation for equation in ledger["equations"]}
    assert by_name["frames"]["went"]["malformed"] == 1
    assert by_name["observations"]["went"]["uncommitted"] == 1
    assert by_name["lines"]["went"]["pending"] == ledger["lines"]["pending"]


async def test_every_loss_has_its_reason_and_example(rig: Rig) -> None:
    rig.say('{"temperature": 20}')
    rig.say("no json")
    losses = (await look(rig))["ledger"]["losses"]
    assert [(loss["source"], loss["stage"], loss["count"]) for loss in losses] == [
        ("mast", "malformed", 1)
    ]
    assert losses[0]["example"] == "no json"
    assert losses[0]["at"] == "2026-01-01T00:00:02.000Z"


async def test_a_device_that_says_one_thing_at_a_time_is_shown_whole(rig: Rig) -> None:
    rig.say('{"id": "kitchen", "temperature": 20}')
    rig.say('{"id": "kitchen", "humidity": 40}', after_s=60.0)
    rig.say('{"id": "kitchen", "state": "open"}', after_s=2.5)
    (device,) = (await look(rig))["devices"]
    assert (device["device"], device["tags"]) == ("kitchen", {"site": "farm"})
    assert (device["count"], device["age_s"]) == (3, 0.0)
    assert device["time"] == "2026-01-01T00:01:03.500Z"
    assert device["fields"] == {
        "temperature": {"value": 20.0, "unit": "Cel", "age_s": 62.5},
        "humidity": {"value": 40.0, "unit": "%", "age_s": 2.5},
        "state": {"value": "open", "unit": "", "age_s": 0.0},
    }


async def test_what_is_shown_is_bounded_and_says_so(rig: Rig) -> None:
    for number in range(DEVICES_MAX + 3):
        rig.say(f'{{"id": "device{number}", "temperature": 20}}')
    many = ", ".join(f'"field{number}": {number}' for number in range(FIELDS_MAX + 2))
    rig.say(f'{{"id": "device0", {many}}}')
    rig.say(f'{{"id": "device1", "note": "{"x" * 1000}"}}')
    found = await look(rig)
    assert (len(found["devices"]), found["devices_more"]) == (DEVICES_MAX, 3)
    names = [device["device"] for device in found["devices"]]
    assert names == sorted(names)
    devices = {device["device"]: device for device in found["devices"]}
    assert (len(devices["device0"]["fields"]), devices["device0"]["fields_more"]) == (FIELDS_MAX, 3)
    assert devices["device1"]["fields"]["note"]["value"] == "x" * TEXT_MAX


async def test_a_clock_that_is_set_back_makes_no_negative_age(rig: Rig) -> None:
    rig.say('{"temperature": 20}')
    rig.machine.step(-3600)
    found = await look(rig)
    assert found["uptime_s"] == 0.0
    assert found["devices"][0]["age_s"] == 0.0


async def test_the_archive_has_no_delivery(tmp_path: Path) -> None:
    rig = Rig(tmp_path, archive=True)
    rig.say('{"temperature": 20}')
    await rig.commit()
    found = await look(rig)
    assert found["delivery"] is None
    assert (found["store"]["kind"], found["store"]["pending_bytes"]) == ("archive", 0)
    assert found["ledger"]["balanced"] is True
    rig.close()


async def test_a_sensor_that_is_away_is_a_problem_and_no_failure(rig: Rig) -> None:
    rig.account.connected, rig.account.problem = False, "no such port, unplugged?"
    assert health(rig.gateway, []) == {
        "status": "degraded",
        "problems": ["mast: no such port, unplugged?"],
    }


async def test_readings_that_do_not_reach_the_disk_are_a_failure(rig: Rig) -> None:
    rig.committer.problem = "the disk is full"
    assert health(rig.gateway, [])["status"] == "failing"


async def test_delivery_that_only_the_operator_can_mend_is_a_failure(rig: Rig) -> None:
    assert rig.delivery is not None
    rig.delivery.state = State.WAITING
    assert health(rig.gateway, [])["status"] == "ok"
    rig.delivery.state = State.HALTED
    assert health(rig.gateway, [])["status"] == "failing"


@pytest.mark.parametrize("counter", ["frames", "spooled"])
async def test_a_ledger_that_does_not_balance_is_a_failure(rig: Rig, counter: str) -> None:
    setattr(rig.account, counter, 1)
    wrong = await imbalances(rig.gateway)
    assert wrong
    assert health(rig.gateway, wrong) == {
        "status": "failing",
        "problems": [f"ledger: {words}" for words in wrong],
    }
    assert (await look(rig))["ledger"]["balanced"] is False


async def test_between_a_commit_and_its_booking_nothing_is_wrong(rig: Rig) -> None:
    rig.say('{"temperature": 20}')
    async with asyncio.TaskGroup() as group:
        committing = group.create_task(rig.commit())
        await asyncio.sleep(0)
        # The loop stands still here, as in a long computation, while the store's thread goes on.
        for _ in range(LOOKS_MAX):
            if rig.store.totals().spooled:
                break
        assert rig.gateway.imbalances(), "the first look falls in between"
        assert not committing.done()
        assert await imbalances(rig.gateway) == []


async def test_lines_that_nobody_booked_are_found(rig: Rig) -> None:
    await rig.worker.call(rig.store.commit, Group(rows=[b"sensor temperature=20 1"]))  # type: ignore[arg-type]
    assert len(await imbalances(rig.gateway)) == 1


async def test_a_store_that_hangs_does_not_hang_the_console(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.console.status.STORE_ANSWER_S", 0.01)
    await rig.worker.call(rig.store.commit, Group(rows=[b"sensor temperature=20 1"]))  # type: ignore[arg-type]
    answered = asyncio.Event()

    async def never() -> None:
        await answered.wait()

    monkeypatch.setattr(type(rig.worker), "call", lambda *_: never())
    assert len(await imbalances(rig.gateway)) == 1


async def test_what_was_shed_is_seen(rig: Rig) -> None:
    rig.committer.admission._disk_is_full = True
    rig.say('{"temperature": 20}')
    found = await look(rig)
    assert found["store"]["has_room"] is False
    assert found["ledger"]["losses"][0]["stage"] == Stage.SHED
    assert found["ledger"]["losses"][0]["reason"] == Reason.SPOOL_FULL
    assert found["ledger"]["balanced"] is True
