"""A gateway in pieces: every part is real, only that nothing moves unless the test moves it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from gateway.app import Gateway
from gateway.backoff import Backoff
from gateway.catalogue import Catalogue
from gateway.committer import Committer
from gateway.config import Config
from gateway.config.values import Context
from gateway.console.server import serve
from gateway.dating import Dating
from gateway.delivery import Delivery
from gateway.devices import devices
from gateway.edges import RealEdges
from gateway.intake import StreamIntake
from gateway.ledger import Ledger
from gateway.model import Batch, DeadLetter, Delivered, Receipt
from gateway.normalize import Normalizer
from gateway.pipeline import Pipeline
from gateway.series import SeriesRegistry
from gateway.sources import Parts
from gateway.spool.archive import Archive
from gateway.spool.store import Spool
from gateway.spool.worker import Worker
from tests.fakes import Machine

START_NS = 1_767_225_600 * 10**9
PATIENCE_S = 10.0


class NoSpool:
    """Delivery that has nothing to deliver."""

    async def read(self, max_bytes: int, max_lines: int, *, newest: bool) -> Batch | None:
        return None

    async def settle(self, rows: object, delivered: int, dead: object) -> None:
        raise AssertionError(DeadLetter)


class Sink:
    async def write(self, lines: object) -> Receipt:
        return Delivered()


class Rig:
    """One serial port that speaks JSON, and everything behind it."""

    def __init__(self, data_dir: Path, *, archive: bool = False, trusted: bool = True) -> None:
        self.data_dir = data_dir
        self.machine = Machine(START_NS)
        self.machine.synchronized = trusted
        self.clock = self.machine.clock()
        self.worker = Worker("store")
        self.store: Spool | Archive = (
            Archive.open(data_dir / "archive.db", min_free=0, boot=self.clock.boot)
            if archive
            else Spool.open(
                data_dir / "spool.db",
                max_bytes=2**30,
                min_free=0,
                now_ns=self.clock,
                boot=self.clock.boot,
            )
        )
        self.ledger = Ledger()
        self.ledger.open_store(self.store.totals())
        self.catalogue = Catalogue([])
        self.registry = SeriesRegistry()
        self.committer: Committer[Any] = Committer(
            self.store,
            self.worker,
            self.ledger,
            self.catalogue,
            interval_s=0.01,
            backoff=backoff(),
            clock=self.clock,
        )
        self.account = self.ledger.account("mast", "serial")
        self.intake = self._intake()
        self.delivery = None if archive else self._delivery()
        self.gateway = self._gateway()

    @property
    def now_ns(self) -> int:
        return self.machine.time_ns

    def say(self, *lines: str, after_s: float = 1.0) -> None:
        """The port's next lines."""
        self.machine.advance(after_s)
        self.intake.receive("".join(f"{line}\n" for line in lines).encode())

    async def commit(self) -> None:
        """Everything that was said is on disk."""
        self.committer.stop()
        await self.committer.run()

    def close(self) -> None:
        self.worker.close(1.0)
        self.store.close()

    def _intake(self) -> StreamIntake:
        normalizer = Normalizer(
            account=self.account,
            ledger=self.ledger,
            catalogue=self.catalogue,
            registry=self.registry,
            device="mast",
            tags={"site": "farm"},
            rules={},
        )
        decoder = devices()["json"].decoder(device="id")
        pipeline = Pipeline(self.account, self.ledger, decoder, normalizer)
        framer = devices()["json"].framer
        assert framer is not None
        intake = StreamIntake(
            self.account, self.ledger, framer(), pipeline, self.committer, self.clock
        )
        intake.opened()
        return intake

    def _delivery(self) -> Delivery:
        return Delivery(
            NoSpool(),
            Sink(),
            flush_interval_s=1.0,
            batch_bytes=10_000,
            newest_first=False,
            backoff=backoff(),
            disk_backoff=backoff(),
            halt_pause_s=30.0,
            now_ns=self.clock,
        )

    def _gateway(self) -> Gateway:
        config = Config.model_validate(
            {"gateway": {"name": "attic", "data_dir": str(self.data_dir)}},
            context=Context(self.data_dir, self.data_dir),
        )
        edges = RealEdges()
        edges.clock = self.clock
        return Gateway(
            parts=Parts(config, edges, self.ledger, self.catalogue, self.registry, self.committer),
            worker=self.worker,
            store=self.store,
            delivery=self.delivery,
            dating=Dating(
                self.clock,
                self.store,
                self.worker,
                self.registry,
                backoff=backoff(),
                released=lambda: None,
            ),
            sources=[],
            started_ns=self.clock(),
        )


def backoff() -> Backoff:
    return Backoff(0.01, 0.02, Random(1))


@asynccontextmanager
async def serving(
    rig: Rig, listen: tuple[str, int] | None = ("127.0.0.1", 0), patience_s: float = PATIENCE_S
) -> AsyncIterator[str]:
    """The console of the rig's gateway; its address, empty without a port."""
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    if listen is None:
        url.set_result("")
    async with asyncio.timeout(patience_s), asyncio.TaskGroup() as group:
        task = group.create_task(serve(rig.gateway, listen, rig.data_dir, started=url.set_result))
        yield await url
        task.cancel()
