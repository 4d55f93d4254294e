"""What the commands ask and print."""

import asyncio
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from gateway.console.client import (
    fetch_status,
    format_tail,
    list_types,
    render_status,
    tail,
    unpin_type,
)
from gateway.console.status import imbalances, status
from gateway.console.tail import Observed
from gateway.errors import TransportError
from gateway.model import Pin
from tests.console.rig import Rig, serving
from tests.console.test_server import until


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


KITCHEN: Observed = {
    "source": "mast",
    "measurement": "climate",
    "tags": {"device": "kitchen", "floor": "1"},
    "fields": {"temperature": 21.5, "humidity": 40.0, "state": "open", "uv_index": 3.0},
    "units": {"temperature": "Cel", "humidity": "%", "uv_index": "1"},
    "time": "2026-05-01T18:15:01.250Z",
    "time_source": "arrival",
}


@pytest.mark.usefixtures("berlin")
def test_a_line_of_tail() -> None:
    assert format_tail(KITCHEN) == (
        "20:15:01 climate kitchen floor:1 temperature=21.5 Cel humidity=40 % state=open uv_index=3"
    )
    assert "12 observations" in format_tail({"missed": 12})


def test_a_device_cannot_command_the_terminal() -> None:
    entry: Observed = {**KITCHEN, "fields": {"state": "\x1b[2J\r\u202egreen\ud800"}}
    assert format_tail(entry).endswith("state=\ufffd[2J\ufffd\ufffdgreen\ufffd")


async def printed(rig: Rig) -> str:
    found = status(rig.gateway, await imbalances(rig.gateway))
    page = io.StringIO()
    Console(file=page, width=140).print(render_status(found))
    return page.getvalue()


async def test_status_shows_state_sources_ledger_and_devices(rig: Rig) -> None:
    rig.say('{"id": "kitchen", "temperature": 20.25, "state": "[red]open[/red]\\u001b[2J"}')
    rig.say("no json", after_s=90.0)
    rig.account.problem = "silent for 60 s"
    await rig.commit()
    page = await printed(rig)
    assert page.startswith("degraded  attic 0.1.0, up 1.5 min, ")
    assert "mast: silent for 60 s" in page
    assert "temperature=20.25 Cel" in page
    assert "[red]open[/red]\ufffd[2J" in page, "neither markup nor control characters"
    assert "1 decoded + 1 malformed" in page
    assert page.count("balanced") == 7
    assert "DOES NOT BALANCE" not in page


async def test_status_says_when_the_ledger_does_not_balance(rig: Rig) -> None:
    rig.account.frames = 1
    page = await printed(rig)
    assert page.startswith("failing")
    assert "DOES NOT BALANCE" in page


async def test_without_a_gateway_the_words_say_so(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match=f"no gateway is running on {tmp_path}"):
        await fetch_status(tmp_path)
    with pytest.raises(TransportError, match="no gateway is running"):
        await fetch_status(tmp_path / "no such directory")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take a right from itself: run as root")
async def test_a_gateway_of_another_user(rig: Rig) -> None:
    async with serving(rig):
        with pytest.raises(TransportError, match="belongs to another user"):
            await _as_nobody(rig.data_dir)


async def _as_nobody(data_dir: Path) -> None:
    """Within the process: the answering side shares it, which is no matter for a connection."""
    os.seteuid(65_534)
    try:
        await fetch_status(data_dir)
    finally:
        os.seteuid(0)


async def test_tail_follows_until_the_gateway_ends(rig: Rig) -> None:
    seen: list[str] = []

    async def follow() -> None:
        async for entry in tail(rig.data_dir):
            seen.append(format_tail(entry))  # noqa: PERF401 -- it is looked at meanwhile

    async with asyncio.TaskGroup() as group:
        async with serving(rig):
            following = group.create_task(follow())
            await until(lambda: rig.committer.observers)
            rig.say('{"id": "kitchen", "temperature": 20}')
            await until(lambda: seen)
            rig.say('{"id": "kitchen", "temperature": 21}')
            await until(lambda: len(seen) > 1)
        await following
    assert [line.split(" ", 1)[1] for line in seen] == [
        "sensor kitchen site:farm temperature=20 Cel",
        "sensor kitchen site:farm temperature=21 Cel",
    ]


async def test_types_are_listed_and_freed(rig: Rig) -> None:
    rig.say('{"mode": "auto", "temperature": 20}')
    await rig.commit()
    async with serving(rig):
        assert await list_types(rig.data_dir) == [
            ("sensor", "mode", "text"),
            ("sensor", "temperature", "number"),
        ]
        assert await unpin_type(rig.data_dir, "sensor", "mode") is True
        assert await unpin_type(rig.data_dir, "sensor", "mode") is False
    assert rig.store.pins() == [Pin("sensor", "temperature", is_text=False)]
    rig.say('{"mode": 3}')
    assert rig.registry.histories()[0].latest["mode"].fields == {"mode": 3.0}
