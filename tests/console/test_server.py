"""The console over HTTP: who may see, who may change, and that it never holds up the gateway."""

import asyncio
import logging
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from gateway.console.client import fetch_status
from gateway.console.control import SOCKET_FILE, SUN_PATH_MAX
from gateway.console.server import _is_own_name
from gateway.console.tail import FOLLOWERS_MAX
from tests.console.rig import PATIENCE_S, Rig, serving
from tests.ports import free_port

LOOPBACK = "127.0.0.1"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)


async def test_everything_answers(rig: Rig, http: aiohttp.ClientSession) -> None:
    rig.say('{"id": "kitchen", "temperature": 20}')
    async with serving(rig) as url:
        async with http.get(url) as page:
            assert page.content_type == "text/html"
            assert "Sensor Gateway" in await page.text()
        async with http.get(f"{url}health") as health:
            assert (health.status, await health.json()) == (200, {"status": "ok", "problems": []})
        async with http.get(f"{url}metrics") as metrics:
            assert metrics.headers["Content-Type"].startswith("text/plain; version=")
            assert "sensor_gateway_frames_total" in await metrics.text()
        async with http.get(f"{url}api/status") as status:
            assert (await status.json())["devices"][0]["device"] == "kitchen"
        async with http.get(f"{url}api/types") as types:
            assert await types.json() == [
                {"measurement": "sensor", "field": "temperature", "is_text": False}
            ]


async def test_health_is_503_when_readings_are_stuck(rig: Rig, http: aiohttp.ClientSession) -> None:
    rig.committer.problem = "the disk is full"
    async with serving(rig) as url, http.get(f"{url}health") as health:
        assert health.status == 503
        assert await health.json() == {"status": "failing", "problems": ["store: the disk is full"]}


async def test_text_that_is_no_unicode_breaks_no_answer(
    rig: Rig, http: aiohttp.ClientSession
) -> None:
    rig.say('{"id": "kitchen", "state": "\\ud800"}')
    async with serving(rig) as url:
        for path in ("api/status", "metrics", "health"):
            async with http.get(f"{url}{path}") as answer:
                assert answer.status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["", "api/status", "api/types?measurement=sensor&field=mode"])
async def test_by_the_port_nothing_can_be_changed(
    rig: Rig, http: aiohttp.ClientSession, method: str, path: str
) -> None:
    async with serving(rig) as url, http.request(method, f"{url}{path}") as answer:
        assert answer.status == 405


@pytest.mark.parametrize(
    ("path", "status"), [("", 403), ("api/status", 403), ("metrics", 200), ("health", 200)]
)
async def test_a_foreign_name_sees_no_device(
    rig: Rig, http: aiohttp.ClientSession, path: str, status: int
) -> None:
    headers = {"Host": "evil.example:9280", "Origin": "http://evil.example:9280"}
    async with serving(rig) as url, http.get(f"{url}{path}", headers=headers) as answer:
        assert answer.status == status
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost:9280", True),
        ("127.0.0.1:9280", True),
        ("192.168.1.5", True),
        ("[::1]:9280", True),
        ("[fe80::1]", True),
        ("raspberrypi:9280", True),
        ("raspberrypi.local:9280", True),
        ("RaspberryPi.Local.", True),
        ("gateway.farm.example:9280", True),
        ("evil.example", False),
        ("gateway.farm.example.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:9280", False),
        ("evil.example@localhost.evil.example", False),
        ("[::1", False),
        ("", False),
        (".", False),
    ],
)
def test_names_that_nobody_outside_can_make(host: str, *, own: bool) -> None:
    assert _is_own_name(host, {"gateway.farm.example"}) is own


async def test_the_port_is_taken_and_later_free(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gateway.console.server.RETRY_S", 0.001)
    port = free_port()
    with (
        socket.create_server((LOOPBACK, port)) as other,
        caplog.at_level(logging.WARNING, "gateway"),
    ):
        async with asyncio.TaskGroup() as group:
            freed = group.create_task(_free_when_warned(other, caplog, rig))
            async with serving(rig, (LOOPBACK, port)) as url:
                assert url == f"http://{LOOPBACK}:{port}/"
                assert freed.done()
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1, "it is said once"
    assert f"cannot listen on {LOOPBACK} port {port}" in warnings[0]


async def _free_when_warned(
    other: socket.socket, caplog: pytest.LogCaptureFixture, rig: Rig
) -> None:
    await until(lambda: caplog.records)
    assert (await fetch_status(rig.data_dir))["name"] == "attic", "the socket works meanwhile"
    other.close()


async def test_the_end_waits_for_nobody(rig: Rig, http: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async with serving(rig) as url:
            followers = [await http.get(f"{url}api/tail") for _ in range(3)]
            await until(lambda: len(rig.committer.observers) == 3)
            ending = asyncio.get_running_loop().time()
        async with asyncio.timeout_at(ending + 1.0):
            await asyncio.sleep(0)
    assert rig.committer.observers == []
    for follower in followers:
        follower.close()


async def test_a_reader_that_goes_is_forgotten(rig: Rig, http: aiohttp.ClientSession) -> None:
    async with serving(rig) as url:
        async with http.get(f"{url}api/tail") as follower:
            await until(lambda: rig.committer.observers)
            rig.say('{"temperature": 20}')
            assert b"temperature" in await follower.content.readline()
            follower.close()
        await until(lambda: not rig.committer.observers)


async def test_followers_are_limited(rig: Rig, http: aiohttp.ClientSession) -> None:
    async with serving(rig) as url:
        followers = [await http.get(f"{url}api/tail") for _ in range(FOLLOWERS_MAX)]
        await until(lambda: len(rig.committer.observers) == FOLLOWERS_MAX)
        async with http.get(f"{url}api/tail") as one_more:
            assert one_more.status == 503
        for follower in followers:
            follower.close()


async def test_the_control_socket_is_its_owners(rig: Rig) -> None:
    path = rig.data_dir / SOCKET_FILE
    async with serving(rig, None):
        await until(path.exists)
        await fetch_status(rig.data_dir)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


async def test_a_socket_left_behind_is_replaced(rig: Rig) -> None:
    path = rig.data_dir / SOCKET_FILE
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(path))
    assert path.is_socket()
    async with serving(rig):
        assert (await fetch_status(rig.data_dir))["name"] == "attic"


@contextmanager
def long_directory(root: Path) -> Iterator[Path]:
    path = root
    while len(str(path)) < 2 * SUN_PATH_MAX:
        path /= "a-rather-long-name"
    path.mkdir(parents=True)
    yield path


async def test_a_data_directory_with_a_long_path(tmp_path: Path) -> None:
    with long_directory(tmp_path) as path:
        rig = Rig(path)
        async with serving(rig):
            assert (await fetch_status(path))["store"]["path"] == str(path / "spool.db")
        assert not (path / SOCKET_FILE).exists()
        rig.close()


async def test_without_a_socket_the_page_still_works(
    rig: Rig, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    (rig.data_dir / SOCKET_FILE).mkdir()
    async with serving(rig) as url, http.get(f"{url}health") as health:
        assert health.status == 200
    assert "status and tail will not work" in caplog.text
