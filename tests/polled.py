"""A line in virtual time: decoder, intake and poller on one side, a device on the other."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from gateway.asking import Asker
from gateway.devices import devices
from gateway.intake import StreamIntake
from gateway.model import Observation
from gateway.normalize import Normalizer
from gateway.pipeline import Pipeline
from gateway.polling import Poller
from gateway.series import SeriesRegistry
from simulators.devices import Reply
from tests.fakes import NOON, Rig

Respond = Callable[[bytes, float], Sequence[Reply]]

BITS = 10
"""Of a character, with its start and stop bits."""


class Line(Rig):
    """One port with whatever a device's `receive` makes of what is written to it."""

    def __init__(
        self,
        decoder: str,
        respond: Respond,
        *,
        baudrate: int,
        options: Mapping[str, object] | None = None,
    ) -> None:
        """Must be made in the running loop."""
        super().__init__()
        self.respond = respond
        self.deliver: Callable[[bytes], None] = self._receive
        """Where the answers go; it is asked when they arrive."""
        self.written: list[tuple[float, bytes]] = []
        self.loop = asyncio.get_running_loop()
        self._character_s = BITS / baudrate
        device = devices()[decoder]
        asker = device.make_decoder(options or {})
        framer = device.make_framer(options or {})
        assert isinstance(asker, Asker)
        assert framer is not None
        normalizer = Normalizer(
            account=self.account,
            ledger=self.ledger,
            catalogue=self.catalogue,
            registry=SeriesRegistry(),
            device="mast",
            tags={},
            rules={},
        )
        self.intake = StreamIntake(
            self.account,
            self.ledger,
            framer,
            Pipeline(self.account, self.ledger, asker, normalizer),
            self.committer,
            lambda: NOON + round(self.loop.time() * 1e9),
        )
        self.poller = Poller(self.account, asker, self.intake.flush, character_s=self._character_s)

    async def run(self, seconds: float) -> None:
        """Open the line for a while."""
        self.intake.opened()
        try:
            async with asyncio.timeout(seconds):
                await self.poller.run(self.write)
        except TimeoutError:
            self.intake.flush()
        assert self.balanced()

    async def observations(self) -> list[Observation]:
        """Everything that came of it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.committer.run())
            self.committer.stop()
        return [row for row in self.disk.rows() if row.series.measurement != "units"]

    def write(self, data: bytes) -> None:
        """The device has it once it was on the line, and so have we its answers, piece by piece."""
        assert self.balanced()
        self.written.append((self.loop.time(), data))
        there_s = self.loop.time() + len(data) * self._character_s
        for reply in self.respond(data, there_s):
            arrives_s = there_s + reply.delay_s
            for piece in _pieces(reply.data):
                arrives_s += len(piece) * self._character_s
                self.loop.call_at(arrives_s, self._arrive, piece)

    def _arrive(self, piece: bytes) -> None:
        self.deliver(piece)
        assert self.balanced()

    def _receive(self, data: bytes) -> None:
        self.intake.receive(data)
        self.poller.received()


def _pieces(data: bytes, size: int = 4) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
