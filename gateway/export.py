"""The archive, sent on to InfluxDB or written as line protocol.

Strategy: `Delivery` does for the archive what it does for the spool: batches, retries, and the
search for the lines that InfluxDB refuses. The archive is only read, so this works beside a
running gateway, ends at any instant without harm, and can be run again: a point that is sent twice
is the same point. A person waits for it, so it gives up where the gateway would not.
Limits: what is committed after the beginning is left for the next time.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from io import BufferedIOBase
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.backoff import Backoff
from gateway.clock import now_ns
from gateway.config.models import Config
from gateway.delivery import BATCH_LINES_MAX, Delivery
from gateway.edges import ARCHIVE_FILE
from gateway.errors import ConfigError, GatewayError, StoreError, TransportError
from gateway.model import Batch, DeadLetter, Deferred, Delivered, Halted, Receipt, Sink
from gateway.output import output_file
from gateway.settings import influx_target
from gateway.sinks.influxdb import InfluxSink
from gateway.spool.archive import BEGINNING, PointKey
from gateway.spool.archive_reader import ArchiveReader
from gateway.spool.worker import Worker

GIVE_UP_S = 300.0
"""InfluxDB may be away for so long."""

RETRY_MAX_S = 10.0

REFUSED_MAX = 1_000
"""More refused points than that are no accident, such as points older than the database keeps."""

BATCH_BYTES = 500_000
_WORKER_CLOSE_S = 1.0

Echo = Callable[[str], None]


async def export_archive(config: Config, output: Path | None, echo: Echo) -> None:
    """Bring every point of the archive to its destination.

    Args:
        config: says where the archive is, and with [influxdb] where the points go.
        output: a file for line protocol instead, compressed where its name ends in `.gz`; `-` is
            standard output.
        echo: takes what the operator should see.

    Raises:
        ConfigError: neither says where to.
        GatewayError: not everything arrived.
    """
    if output is None and config.influxdb is None:
        raise ConfigError(
            ["where to? The configuration has no [influxdb], and there is no --output FILE"]
        )
    async with AsyncExitStack() as stack:
        worker = Worker("archive")
        stack.callback(worker.close, _WORKER_CLOSE_S)
        archive = await _open_archive(Path(config.gateway.data_dir), worker)
        stack.push_async_callback(worker.call, archive.close)
        sink = await stack.enter_async_context(_destination(config, output))
        where = str(output or (config.influxdb and config.influxdb.url))
        batch_bytes = config.influxdb.batch_bytes if config.influxdb else BATCH_BYTES
        with _progress() as progress:
            total = 0 if progress.disable else await worker.call(archive.count)
            bar = progress.add_task("points", total=total)
            points = _Points(
                archive,
                worker,
                await worker.call(archive.last),
                on_progress=lambda count: progress.update(bar, completed=count),
                on_refused=lambda letter: echo(
                    f"refused: {letter.message}: {letter.line.decode('utf-8', 'replace')}"
                ),
            )
            try:
                await _deliver(points, _Impatient(sink, where, points.end), batch_bytes)
            finally:
                echo(f"{points.delivered} points exported to {where}, {points.refused} refused")
    if points.refused:
        raise TransportError("Not everything was taken; what is listed above was refused.")


async def _open_archive(data_dir: Path, worker: Worker) -> ArchiveReader:
    path = data_dir / ARCHIVE_FILE
    if not path.exists():
        raise StoreError(
            f"{path}: no such file; a gateway without [influxdb] in its configuration makes it"
        )
    return await worker.call(ArchiveReader, path)


async def _deliver(points: "_Points", sink: Sink, batch_bytes: int) -> None:
    """Until everything is settled, or going on is of no use: then it raises why."""
    rng = random.Random()  # noqa: S311 -- jitter
    delivery = Delivery(
        points,
        sink,
        flush_interval_s=0.0,
        batch_bytes=batch_bytes,
        newest_first=False,
        backoff=Backoff(0.5, RETRY_MAX_S, rng),
        disk_backoff=Backoff(0.5, RETRY_MAX_S, rng),
        halt_pause_s=GIVE_UP_S,
        now_ns=now_ns,
    )
    async with asyncio.TaskGroup() as group:
        delivering = group.create_task(delivery.run())
        await asyncio.wait([points.ended])
        delivering.cancel()
    problem = points.ended.result()
    if problem is not None:
        raise problem


class _Points:
    """The archive as `Delivery` reads a spool, up to point `last`. A batch is one row."""

    def __init__(
        self,
        archive: ArchiveReader,
        worker: Worker,
        last: PointKey,
        *,
        on_progress: Callable[[int], None],
        on_refused: Callable[[DeadLetter], None],
    ) -> None:
        self._archive = archive
        self._worker = worker
        self._last = last
        self._on_progress = on_progress
        self._on_refused = on_refused
        self._position = BEGINNING
        self._lines: deque[bytes] = deque()
        """Read and not yet handed out."""
        self._batches = 0
        self._settled = 0
        self.delivered = 0
        self.refused = 0
        self.ended: asyncio.Future[GatewayError | None] = asyncio.get_running_loop().create_future()
        """Done when there is nothing left to do; the result says what went wrong."""

    def end(self, problem: GatewayError | None) -> None:
        if not self.ended.done():
            self.ended.set_result(problem)

    async def read(self, max_bytes: int, max_lines: int, *, newest: bool) -> Batch | None:  # noqa: ARG002
        """What follows the last batch: an archive is exported in order of time."""
        try:
            await self._read_ahead()
        except StoreError as error:
            self.end(error)
        lines: list[bytes] = []
        size = 0
        while self._lines and len(lines) < max_lines:
            if lines and size + len(self._lines[0]) >= max_bytes:
                break
            lines.append(self._lines.popleft())
            size += len(lines[-1]) + 1
        if lines:
            self._batches += 1
            return Batch((self._batches,), lines, size)
        if self._batches == self._settled:
            self.end(None)
        return None

    async def settle(self, rows: Sequence[int], delivered: int, dead: Sequence[DeadLetter]) -> None:
        self._settled += len(rows)
        self.delivered += delivered
        self.refused += len(dead)
        for letter in dead:
            self._on_refused(letter)
        self._on_progress(self.delivered + self.refused)
        if self.refused > REFUSED_MAX:
            self.end(
                TransportError(f"More than {REFUSED_MAX} points were refused: mend that first")
            )

    async def _read_ahead(self) -> None:
        if self._lines or self._position >= self._last:
            return
        found = await self._worker.call(self._archive.export_lines, self._position, BATCH_LINES_MAX)
        self._lines.extend(line for key, line in found if key <= self._last)
        self._position = found[-1][0] if found else self._last


class _Impatient:
    """A sink that ends the export where waiting is of no use."""

    def __init__(self, sink: Sink, name: str, end: Callable[[GatewayError], None]) -> None:
        self._sink = sink
        self._name = name
        self._end = end
        self._away_since_s: float | None = None

    async def write(self, lines: Sequence[bytes]) -> Receipt:
        receipt = await self._sink.write(lines)
        now_s = asyncio.get_running_loop().time()
        match receipt:
            case Halted(problem):
                self._end(TransportError(f"{self._name}: {problem}"))
            case Deferred(problem):
                self._away_since_s = self._away_since_s or now_s
                if now_s - self._away_since_s >= GIVE_UP_S:
                    self._end(TransportError(f"given up after {GIVE_UP_S:g} s: {problem}"))
            case _:
                self._away_since_s = None
        return receipt


class _FileSink:
    """Lines into a file."""

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file

    async def write(self, lines: Sequence[bytes]) -> Receipt:
        try:
            self._file.write(b"\n".join(lines) + b"\n")
            self._file.flush()
        except OSError as error:
            return Halted(error.strerror or str(error))
        return Delivered()


@asynccontextmanager
async def _destination(config: Config, output: Path | None) -> AsyncIterator[Sink]:
    if output is not None:
        with output_file(output) as file:
            yield _FileSink(file)
    elif config.influxdb is not None:
        async with InfluxSink(influx_target(config.influxdb), now_ns) as sink:
            yield sink


def _progress() -> Progress:
    """On a terminal only."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
