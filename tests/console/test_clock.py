"""What is shown before there is a time of day: no date that is none, and no age of decades."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.console.render import format_tail
from gateway.console.render_spool import render_letter, render_look
from gateway.console.status import Status, imbalances, iso_time, status
from gateway.console.tail import following
from gateway.spool import desk
from gateway.spool.letters import ALL
from gateway.spool.store import Spool
from tests.console.rig import START_NS, Rig
from tests.console.test_metrics import scrape, value


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Rig]:
    """A gateway on a machine that has just started and does not know the time."""
    rig = Rig(tmp_path, trusted=False)
    yield rig
    rig.close()


async def look(rig: Rig) -> Status:
    found = status(rig.gateway, await imbalances(rig.gateway))
    assert "1970" not in json.dumps(found)
    return found


def synchronize(rig: Rig) -> None:
    rig.machine.synchronized = True
    rig.clock.set_up(trust=False, wait_s=600.0)


async def test_what_has_no_date_is_shown_with_ages_alone(board: Rig) -> None:
    board.say('{"id": "kitchen", "temperature": 20}', "no json")
    board.say('{"id": "kitchen", "humidity": 40}', after_s=60.0)
    await board.commit()
    found = await look(board)
    assert (found["time"], found["started"], found["uptime_s"]) == (None, None, 61.0)
    assert found["ledger"]["sources"]["mast"]["last_frame"] is None
    assert [loss["at"] for loss in found["ledger"]["losses"]] == [None]
    (device,) = found["devices"]
    assert (device["time"], device["age_s"]) == (None, 0.0)
    assert {name: field["age_s"] for name, field in device["fields"].items()} == {
        "temperature": 60.0,
        "humidity": 0.0,
    }
    lines = found["store"]["held_lines"]
    assert lines == found["store"]["pending_lines"] == 4  # two of them units
    assert found["health"] == {
        "status": "degraded",
        "problems": ["clock: the clock is not synchronized: 4 readings wait for their time"],
    }
    assert found["commit_latency"]["count"] == 4
    assert found["ledger"]["balanced"]


async def test_once_there_is_a_time_the_same_has_dates(board: Rig) -> None:
    board.say('{"id": "kitchen", "temperature": 20}', "no json")
    synchronize(board)
    board.machine.advance(5)
    found = await look(board)
    assert found["started"] == "2026-01-01T00:00:00.000Z"
    assert (found["time"], found["uptime_s"]) == ("2026-01-01T00:00:06.000Z", 6.0)
    said = "2026-01-01T00:00:01.000Z"
    assert found["ledger"]["sources"]["mast"]["last_frame"] == said
    assert [loss["at"] for loss in found["ledger"]["losses"]] == [said]
    (device,) = found["devices"]
    assert (device["time"], device["age_s"]) == (said, 5.0)
    assert found["health"]["status"] == "ok"


async def test_metrics_have_no_date_before_there_is_one(board: Rig) -> None:
    board.say('{"temperature": 20}')
    await board.commit()
    found = scrape(board)
    assert value(found, "started_timestamp_seconds") == 0
    assert value(found, "source_last_frame_timestamp_seconds", source="mast") == 0
    assert value(found, "held_lines") == value(found, "pending_lines") == 2
    synchronize(board)
    found = scrape(board)
    assert value(found, "started_timestamp_seconds") == START_NS / 1e9
    last = value(found, "source_last_frame_timestamp_seconds", source="mast")
    assert last == START_NS / 1e9 + 1


async def test_a_follower_sees_no_date_where_there_is_none(board: Rig) -> None:
    with following(board.committer.observers) as follower:
        board.say('{"id": "kitchen", "temperature": 20}')
        (entry,) = map(json.loads, (await follower.read(board.catalogue.units)).splitlines())
    assert entry["time"] is None
    assert format_tail(entry) == "--:--:-- sensor kitchen site:farm temperature=20 Cel"


async def test_what_never_got_a_time_is_a_dead_letter_that_says_so_and_is_not_sent_to_1970(
    board: Rig, tmp_path: Path
) -> None:
    board.say('{"id": "kitchen", "temperature": 20}')
    await board.commit()
    board.store.close()
    spool = Spool.open(
        tmp_path / "spool.db", max_bytes=2**30, min_free=0, now_ns=board.clock, boot="second boot"
    )
    while spool.held():
        spool.release(START_NS)
    letters = desk.newest(spool, ALL, 10)
    assert len(letters) == spool.letter_counts().kept == 2
    shown = "\n".join(render_letter(letters[0]))
    assert "the clock was never set" in shown
    assert "observed     before the time of day was known" in shown
    assert "retry        only with --line: the line has a time before the year 2000" in shown
    assert "1970" not in shown
    step = desk.retry(spool, ALL)
    assert step["done"] == 0
    assert len(step["refused"]) == 2
    look = "\n".join(render_look(desk.look(spool), START_NS))
    assert "1970" not in look
    spool.close()


def test_what_is_no_date_is_not_shown_as_one() -> None:
    assert iso_time(0) is None
    assert iso_time(43 * 10**9) is None
    assert iso_time(START_NS) == "2026-01-01T00:00:00.000Z"
