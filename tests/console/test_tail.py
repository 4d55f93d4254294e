"""Followers see what comes; one that is slow loses the oldest and knows it."""

import asyncio
import json
from typing import Any

import pytest

from gateway.console.tail import BATCH_MAX, QUEUE_MAX, Follower, following
from tests.console.rig import Rig


async def read(follower: Follower, rig: Rig) -> list[Any]:
    lines = await follower.read(rig.catalogue.units)
    return [json.loads(line) for line in lines.splitlines()]


async def test_a_follower_sees_what_comes(rig: Rig) -> None:
    rig.say('{"id": "kitchen", "temperature": 19}')
    with following(rig.committer.observers) as follower:
        rig.say('{"id": "kitchen", "temperature": 20, "state": "open"}')
        assert await read(follower, rig) == [
            {
                "source": "mast",
                "measurement": "sensor",
                "tags": {"device": "kitchen", "site": "farm"},
                "fields": {"temperature": 20.0, "state": "open"},
                "units": {"temperature": "Cel"},
                "time": "2026-01-01T00:00:02.000Z",
                "time_source": "arrival",
            }
        ]


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many(rig: Rig) -> None:
    with following(rig.committer.observers) as follower:
        for number in range(QUEUE_MAX + 7):
            rig.say(f'{{"temperature": {number % 50}, "counter": {number}}}')
        entries = await read(follower, rig)
        while len(entries) <= QUEUE_MAX:
            entries += await read(follower, rig)
    assert entries[0] == {"missed": 7}
    numbers = [next(v for k, v in e["fields"].items() if "counter" in k) for e in entries[1:]]
    assert numbers == list(range(7, QUEUE_MAX + 7))


async def test_one_read_is_bounded(rig: Rig) -> None:
    with following(rig.committer.observers) as follower:
        for _ in range(BATCH_MAX + 1):
            rig.say('{"temperature": 20}')
        assert len(await read(follower, rig)) == BATCH_MAX
        assert len(await read(follower, rig)) == 1


async def test_nothing_is_kept_for_who_has_gone(rig: Rig) -> None:
    with following(rig.committer.observers) as first, following(rig.committer.observers):
        rig.say('{"temperature": 20}')
        assert len(await read(first, rig)) == 1
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await first.read(rig.catalogue.units)
    assert rig.committer.observers == []
