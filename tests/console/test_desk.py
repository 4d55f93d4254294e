"""The spool through the control socket, and without a gateway: the same answers."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from gateway.config import Config
from gateway.config.values import Context
from gateway.console import desk as desk_module
from gateway.console.client import ask_spool, fetch_status
from gateway.console.desk import Desk, open_desk
from gateway.console.metrics import exposition
from gateway.console.status import health, status
from gateway.errors import GatewayError, StoreError, TransportError
from gateway.model import DeadLetter, Group
from gateway.spool import desk as questions
from gateway.spool.letters import ALL, Selection
from gateway.spool.lock import DataDir
from gateway.spool.store import Spool
from tests.console.rig import PATIENCE_S, Rig, serving
from tests.spool.test_desk import T0_NS, points
from tests.spool.test_letters import NO, assert_accounted, kept_lines, kill
from tests.spool.test_store import read_all

WAYS = ["through the gateway", "alone"]


def configure(data_dir: Path, *, influxdb: bool = True) -> Config:
    settings: dict[str, object] = {"gateway": {"name": "attic", "data_dir": str(data_dir)}}
    if influxdb:
        settings["influxdb"] = {"version": 1, "url": "http://127.0.0.1:1", "database": "d"}
    return Config.model_validate(settings, context=Context(data_dir, data_dir))


@asynccontextmanager
async def answering(rig: Rig) -> AsyncIterator[None]:
    """The rig's gateway, once it listens on its control socket."""
    async with serving(rig, None), asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await fetch_status(rig.data_dir)
                break
            except TransportError:
                await asyncio.sleep(0.001)
        yield


def spool_of(rig: Rig) -> Spool:
    assert isinstance(rig.store, Spool)
    return rig.store


@pytest.fixture(params=WAYS)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk on a spool with 12 letters and 30 pending lines, either way."""
    rig = Rig(tmp_path)
    kill(spool_of(rig), *points(1, 10))
    kill(spool_of(rig), b"m v=1 83000000000", *points(12, 12), message="of another kind")
    spool_of(rig).commit(Group(rows=points(101, 130)))
    if request.param == "alone":
        rig.close()
        async with open_desk(configure(tmp_path)) as desk:
            yield desk
        return
    with DataDir(tmp_path):
        async with answering(rig), open_desk(configure(tmp_path)) as desk:
            yield desk
    rig.close()


async def test_either_way_the_answers_are_the_same(
    bench: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "PAGE_LETTERS", 5)
    look = await bench.look()
    assert (look["pending_lines"], look["letters"]["kept"]) == (30, 12)
    assert [line async for page, _ in bench.lines() for line in page] == points(101, 130)
    letters = [letter async for page in bench.letters(ALL) for letter in page]
    assert [letter["id"] for letter in letters] == list(range(1, 13))
    assert [letter["id"] for letter in await bench.newest(ALL, 3)] == [12, 11, 10]
    groups = await bench.groups(ALL)
    assert [(g["message"], g["count"], g["first"], g["last"]) for g in groups] == [
        ("of another kind", 2, 11, 12),
        (NO, 10, 1, 10),
    ]
    assert groups[1]["line"] == points(10, 10)[0].decode()
    assert await bench.measure(Selection(message="of another")) == {"count": 2, "highest": 12}
    assert await bench.unknown(Selection((3, 99, 14))) == [14, 99]
    assert await bench.unknown(ALL) == []


async def test_either_way_letters_are_put_back_mended_and_dropped(
    bench: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "PAGE_LETTERS", 5)
    done, refused = await bench.retry(ALL)
    assert done == 11
    assert refused == [(11, "has a time before the year 2000")]
    with pytest.raises(GatewayError, match="the new line has no time"):
        await bench.mend(11, "m v=1")
    assert (await bench.mend(11, f"m v=1 {T0_NS}")).done == 1
    assert (await bench.mend(11, f"m v=1 {T0_NS}")).done == 0
    look = await bench.look()
    assert look["letters"] == {"kept": 0, "kept_bytes": 0, "dropped": 0, "forgotten": 0}
    assert (look["totals"]["retried"], look["pending_lines"]) == (12, 42)
    lines = [line async for page, _ in bench.lines() for line in page]
    assert lines == [*points(101, 130), *points(1, 10), *points(12, 12), b"m v=1 %d" % T0_NS]


async def test_either_way_what_was_exported_can_be_dropped(bench: Desk) -> None:
    assert (await bench.drop(Selection(up_to=4))).done == 4
    assert (await bench.drop(Selection((5, 7, 99)))).done == 2
    assert (await bench.drop(Selection(message="of another", up_to=11))).done == 1
    kept = [letter["id"] async for page in bench.letters(ALL) for letter in page]
    assert kept == [6, 8, 9, 10, 12]
    assert (await bench.look())["letters"]["dropped"] == 7
    assert (await bench.drop(ALL)).done == 5


async def test_what_was_put_back_is_delivered_at_once(rig: Rig) -> None:
    kill(spool_of(rig), *points(1, 3))
    assert rig.delivery is not None
    notified = rig.delivery._committed
    async with answering(rig):
        for question, wanted in (("measure", ALL), ("drop", Selection((1,)))):
            notified.clear()
            await ask_spool(rig.data_dir, question, {"wanted": wanted})
            assert not notified.is_set()
        await ask_spool(rig.data_dir, "retry", {"wanted": Selection((2,))})
        assert notified.is_set()
        notified.clear()
        await ask_spool(rig.data_dir, "mend", {"number": 3, "line": f"m v=1 {T0_NS}"})
        assert notified.is_set()
    assert rig.gateway.imbalances() == ["store: sources committed 0 lines, the store counts 3"]
    assert_accounted(spool_of(rig))


async def test_a_letter_that_dies_again_is_not_retried_for_ever(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps go up to the letters that were there at the beginning."""
    monkeypatch.setattr(questions, "PAGE_LETTERS", 2)
    spool = spool_of(rig)
    kill(spool, *points(1, 6))
    retry = spool.retry

    def retry_in_vain(mended: object) -> None:
        retry(mended)  # type: ignore[arg-type]
        batch = spool.read(10**9, 10**9, newest=False)
        assert batch is not None
        spool.settle(batch.rows, 0, [DeadLetter(line, 400, NO) for line in batch.lines])

    monkeypatch.setattr(spool, "retry", retry_in_vain)
    desk = Desk(_asking(spool), [])
    assert (await desk.retry(ALL)).done == 6
    assert kept_lines(spool) == points(1, 6)


def _asking(spool: Spool) -> desk_module.Ask:
    async def ask(question: str, **arguments: object) -> object:
        return questions.answer(spool, question, arguments)

    return ask


async def test_a_disk_that_fills_up_meanwhile_is_said_with_what_is_done(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "PAGE_LETTERS", 4)
    spool = spool_of(rig)
    kill(spool, *points(1, 10))
    retry, calls = spool.retry, iter(range(10))

    def fill_up(mended: object) -> None:
        if next(calls) == 1:
            raise StoreError("spool.db: the disk is full")
        retry(mended)  # type: ignore[arg-type]

    monkeypatch.setattr(spool, "retry", fill_up)
    with DataDir(rig.data_dir):
        async with answering(rig), open_desk(configure(rig.data_dir)) as desk:
            with pytest.raises(GatewayError, match=r"disk is full \(4 dead letters are dealt with"):
                await desk.retry(ALL)
            assert_accounted(spool)
            assert (await desk.retry(ALL)).done == 6
    assert read_all(spool) == points(1, 10)


@pytest.mark.parametrize("path", ["api/spool/find", "api/spool/drop", "api/spool/look"])
async def test_by_the_port_no_letter_can_be_asked_for(rig: Rig, path: str) -> None:
    async with serving(rig) as url, aiohttp.ClientSession() as http:
        async with http.post(f"{url}{path}", json={}) as answer:
            assert answer.status == 404
        async with http.get(f"{url}{path}") as answer:
            assert answer.status == 404


@pytest.mark.parametrize("content", [b"", b"[]", b"no json", b"\xff"])
async def test_nonsense_is_refused(rig: Rig, content: bytes) -> None:
    async with (
        answering(rig),
        aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(rig.data_dir / "control.sock"))
        ) as http,
        http.post("http://gateway/api/spool/look", data=content) as answer,
    ):
        assert answer.status == 400


async def test_a_spool_from_before_the_archive_is_not_denied(tmp_path: Path) -> None:
    Rig(tmp_path).close()
    rig = Rig(tmp_path, archive=True)
    config = configure(tmp_path, influxdb=False)
    with DataDir(tmp_path):
        async with answering(rig), open_desk(config) as desk:
            with pytest.raises(TransportError, match="can be looked at while no gateway runs"):
                await desk.look()
    rig.close()
    async with open_desk(config) as desk:
        assert (await desk.look())["path"].endswith("spool.db")


async def test_a_gateway_with_an_archive_has_no_letters(tmp_path: Path) -> None:
    rig = Rig(tmp_path, archive=True)
    with DataDir(tmp_path):
        async with answering(rig), open_desk(configure(tmp_path, influxdb=False)) as desk:
            with pytest.raises(TransportError, match="readings go to the archive"):
                await desk.look()
    rig.close()
    with pytest.raises(GatewayError, match="readings go to the archive"):
        async with open_desk(configure(tmp_path, influxdb=False)):
            pass


async def test_a_backlog_is_reached_after_the_configuration_has_changed(tmp_path: Path) -> None:
    """No [influxdb] any more, but its spool is still there."""
    rig = Rig(tmp_path)
    kill(spool_of(rig), *points(1, 3))
    rig.close()
    async with open_desk(configure(tmp_path, influxdb=False)) as desk:
        assert (await desk.look())["letters"]["kept"] == 3


async def test_where_no_gateway_has_run_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match="no gateway has run there yet"):
        async with open_desk(configure(tmp_path / "data")):
            pass
    assert owners(tmp_path) == {}


async def test_a_holder_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with DataDir(tmp_path):
        async with open_desk(configure(tmp_path)) as desk:
            with pytest.raises(TransportError, match=f"process {os.getpid()} holds .* try again"):
                await desk.look()


async def test_a_command_keeps_the_gateway_out_meanwhile(tmp_path: Path) -> None:
    Rig(tmp_path).close()
    async with open_desk(configure(tmp_path)):
        with pytest.raises(GatewayError, match="in use by another"):
            DataDir(tmp_path)
    DataDir(tmp_path).close()


async def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    Rig(tmp_path).close()
    (tmp_path / "spool.db").write_bytes(b"no database" * 1000)
    async with open_desk(configure(tmp_path)) as desk:
        assert "set aside as spool.db.corrupt-1" in desk.warnings[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user: run as root")
async def test_root_leaves_no_file_of_its_own(tmp_path: Path) -> None:
    """A salvage by root would otherwise make a spool that the service may not open."""
    rig = Rig(tmp_path)
    rig.close()
    give_to_nobody(tmp_path)
    async with open_desk(configure(tmp_path)) as desk:
        await desk.look()
    assert os.geteuid() == 0
    assert owners(tmp_path) == dict.fromkeys(("lock", "spool.db", "spool.db.corrupt-1"), 65_534)


def give_to_nobody(directory: Path) -> None:
    """The directory and a spool that is damaged."""
    for path in directory.parents[:3]:  # up to the one of all tests
        path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o011)
    (directory / "spool.db").write_bytes(b"no database" * 1000)
    for path in (directory, *directory.iterdir()):
        os.chown(path, 65_534, 65_534)


def owners(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_uid for path in directory.iterdir()}


async def test_letters_show_in_status_health_and_metrics(rig: Rig) -> None:
    assert health(rig.gateway, [])["status"] == "ok"
    kill(spool_of(rig), *points(1, 3))
    found = status(rig.gateway, [])
    assert found["store"]["dead_letters"] == 3
    assert found["store"]["dead_letter_bytes"] == spool_of(rig).letter_counts().kept_bytes
    assert found["health"]["status"] == "degraded"
    assert found["health"]["problems"] == [
        "InfluxDB: 3 lines refused for good are kept: sensor-gateway dead-letters list"
    ]
    text = exposition(rig.gateway, []).decode()
    assert "\nsensor_gateway_dead_letters 3.0\n" in text
    assert "\nsensor_gateway_dead_letters_forgotten_total 0.0\n" in text
    async with answering(rig):
        assert (await fetch_status(rig.data_dir))["store"]["dead_letters"] == 3
        await ask_spool(rig.data_dir, "drop", {"wanted": ALL})
    assert status(rig.gateway, [])["health"]["status"] == "ok"
