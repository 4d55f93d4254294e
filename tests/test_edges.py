"""The data directory of a gateway whose configuration or disk changed: nothing is left behind."""

import asyncio
import logging
from pathlib import Path

import pytest

from gateway import edges
from gateway.config import load
from gateway.config.models import Config
from gateway.edges import SPOOL_FILE, RealEdges
from gateway.errors import DiskFullError
from gateway.model import Group
from gateway.spool.store import Spool
from gateway.transports.mqtt_state import MqttState

INFLUXDB = '[influxdb]\nversion = 1\nurl = "http://127.0.0.1:9"\ndatabase = "d"\n'


def config(folder: Path, sections: str = "") -> Config:
    path = folder / "gateway.toml"
    path.write_text(f'[gateway]\ndata_dir = "{folder}"\n{sections}')
    return load(path, environ={})


def spool_of(folder: Path) -> Spool:
    return Spool.open(folder / SPOOL_FILE, max_bytes=2**30, min_free=0, now_ns=lambda: 1)


async def test_a_backlog_outlives_changes_of_the_configuration_and_is_not_forgotten(
    tmp_path: Path,
) -> None:
    spool = spool_of(tmp_path)
    spool.commit(Group(rows=[b"m f=1 1", b"m f=2 2"]))
    spool.close()
    stop = asyncio.Event()
    async with RealEdges().open(config(tmp_path), stop) as (archive, worker, _):
        (warning,) = archive.warnings
        assert warning.startswith("2 lines wait in ")
        assert (await worker.call(archive.totals)).pending == 0
    again = config(tmp_path, INFLUXDB + '[spool]\nmax_bytes = "1MiB"\n')
    async with RealEdges().open(again, stop) as (store, worker, _):
        assert isinstance(store, Spool)
        assert store.warnings == []
        batch = await worker.call(store.read, 10**6, 10, newest=False)
        assert batch is not None
        assert batch.lines == [b"m f=1 1", b"m f=2 2"]


async def test_a_session_that_no_entry_has_any_more_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    MqttState(tmp_path).client_id("hall", "pi")
    with caplog.at_level(logging.WARNING):
        async with RealEdges().open(config(tmp_path), asyncio.Event()):
            pass
    assert '"hall"' in caplog.text


async def test_a_full_disk_is_waited_for_at_the_start_but_not_beyond_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store, failures = edges._open_store, 3

    def on_a_full_disk(*arguments: object) -> object:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise DiskFullError("spool.db: the disk is full")
        return open_store(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(edges, "_open_store", on_a_full_disk)
    monkeypatch.setattr(edges, "OPEN_AGAIN_S", 0.0)
    stop = asyncio.Event()
    async with RealEdges().open(config(tmp_path, INFLUXDB), stop) as (store, _, _):
        assert store.totals().pending == 0
    failures = 10**9
    stop.set()
    with pytest.raises(DiskFullError):
        async with RealEdges().open(config(tmp_path, INFLUXDB), stop):
            pass
