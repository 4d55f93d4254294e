"""The composition root: what arrived is on disk, whoever else fails."""

import asyncio
from pathlib import Path

import pytest

from gateway import app
from gateway.admission import Inlet
from gateway.config import load
from gateway.edges import ARCHIVE_FILE
from gateway.spool.archive import Archive
from tests.fakes import observation

CONFIG = """
[gateway]
data_dir = "{data_dir}"
[console]
listen = ""
[[mqtt]]
name = "home"
url = "mqtt://127.0.0.1:9"
subscribe = [{{ topic = "a/#", decoder = "json" }}]
"""


async def test_a_fault_of_the_console_costs_nothing_that_arrived(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG.format(data_dir=tmp_path))

    async def serve(gateway: app.Gateway) -> None:
        inlet = Inlet(gateway.ledger.accounts["home"])
        gateway.committer.add(inlet, [observation(1)])
        raise RuntimeError("a bug")

    with pytest.RaisesGroup(RuntimeError, flatten_subgroups=True):
        await app.run(load(path, environ={}), asyncio.Event(), serve)
    archive = Archive.open(tmp_path / ARCHIVE_FILE, min_free=0)
    assert archive.totals().spooled == 1
    archive.close()
