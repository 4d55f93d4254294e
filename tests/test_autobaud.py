"""A baud rate is found by listening, on virtual time: at a wrong rate a line brings garbage."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import NoReturn

import pytest

from gateway.asking import Poll, Request, Write
from gateway.backoff import Backoff
from gateway.baudrates import DOUBT_S, LISTEN_S, REQUESTS
from gateway.config import Config
from gateway.config.sources import Serial
from gateway.errors import TransportError
from gateway.framing.delimited import Lines
from gateway.intake import supervise
from gateway.model import Decoded, Device, Frame, Malformed, Reading, Reason, Verdict
from gateway.series import SeriesRegistry
from gateway.sources import Parts, Source, serial_source
from simulators import virtual_time
from tests.fakes import NOON, Rig

RATES = (4800, 38_400)
"""Of the decoder; the common ones follow."""


def line(number: int) -> bytes:
    """A frame with a checksum."""
    text = b"value=%d" % number
    return b"%s*%04d\n" % (text, sum(text))


class Checked:
    """Decodes them."""

    def decode(self, frame: Frame) -> Verdict:
        text, _, checksum = frame.data.partition(b"*")
        if not checksum.isdigit() or int(checksum) != sum(text):
            return Malformed(Reason.CHECKSUM)
        return Decoded([Reading({"value": float(text.removeprefix(b"value="))})])


class Asking(Checked):
    """Likewise, of a device that is asked every second."""

    def __init__(self) -> None:
        self._due_s = 0.0
        self._answered = False

    def decode(self, frame: Frame) -> Verdict:
        verdict = super().decode(frame)
        self._answered = isinstance(verdict, Decoded)
        return verdict

    def begin(self, now_s: float) -> None:
        self._due_s = now_s

    def ask(self, now_s: float) -> Request | float:
        if now_s < self._due_s:
            return self._due_s
        self._due_s, self._answered = now_s + 1.0, False
        return Request(b"?", answer_size=15, timeout_s=0.5)

    def outcome(self) -> Poll | None:
        return Poll.ANSWERED if self._answered else None

    def give_up(self, now_s: float, poll: Poll) -> None: ...

    def problems(self) -> list[str]:
        return []


DEVICES: Mapping[str, Device] = MappingProxyType(
    {
        "checked": Device("checked", "", Checked, Lines, baudrates=RATES),
        "asking": Device("asking", "", Asking, Lines, baudrates=RATES),
    }
)


@dataclass
class Cable:
    """A device that speaks at one rate, and the port that it is plugged into."""

    rate: int
    interval_s: float = 1.0
    """Infinite: it speaks when asked."""
    plugged: bool = True
    opened_at: list[tuple[int, float]] = field(default_factory=list)
    said: int = 0
    _rng: Random = field(default_factory=lambda: Random(1))

    def speak(self, rate: int) -> bytes:
        """What one frame is to somebody who listens at `rate`."""
        self.said += 1
        frame = line(self.said)
        if rate == self.rate:
            return frame
        return self._rng.randbytes(max(len(frame) * rate // self.rate, 1))

    def plug(self) -> None:
        self.plugged = True

    def unplug(self) -> None:
        self.plugged = False

    def rates(self) -> list[int]:
        return [rate for rate, _ in self.opened_at]


@dataclass
class CablePort:
    """The port at one rate."""

    cable: Cable
    rate: int

    async def run(
        self, opened: Callable[[Write], None], receive: Callable[[bytes], None]
    ) -> NoReturn:
        loop = asyncio.get_running_loop()
        if not self.cable.plugged:
            raise TransportError("no such port")
        self.cable.opened_at.append((self.rate, loop.time()))

        def write(_data: bytes) -> None:
            if self.rate == self.cable.rate:
                loop.call_later(0.1, lambda: receive(self.cable.speak(self.rate)))

        opened(write)
        while self.cable.plugged:
            await asyncio.sleep(min(self.cable.interval_s, 3600.0))
            if self.cable.interval_s < 3600:
                receive(self.cable.speak(self.rate))
        raise TransportError("unplugged")


class Bench:
    """A whole source on a cable."""

    def __init__(self, cable: Cable, decoder: str = "checked") -> None:
        self.rig = Rig()
        entry = Serial.model_validate(
            {"name": "mast", "port": "/dev/mast", "decoder": decoder, "baudrate": "auto"}
        )
        parts = Parts(
            Config.model_validate({}),
            _Edges(cable),  # type: ignore[arg-type]  # what a port needs of it
            self.rig.ledger,
            self.rig.catalogue,
            SeriesRegistry(),
            self.rig.committer,
        )
        self.source: Source = serial_source(entry, parts)
        self.account = self.source.account

    async def listen(self, seconds: float) -> None:
        """Let it run, and end it."""
        run = supervise(
            self.account,
            self.source.run,
            backoff=Backoff(0.5, 30.0, Random(1)),
            ready=self.source.ready,
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(run)
            await asyncio.sleep(seconds)
            self.shown = list(self.source.problems())
            task.cancel()
        assert self.rig.balanced()
        assert self.account.bytes_buffered == 0


class _Edges:
    def __init__(self, cable: Cable) -> None:
        self._cable = cable

    def clock(self) -> int:
        return NOON

    def port(self, entry: Serial) -> CablePort:
        assert isinstance(entry.baudrate, int)
        return CablePort(self._cable, entry.baudrate)


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.decoders.devices", lambda: DEVICES)


def lived(cable: Cable, seconds: float, decoder: str = "checked") -> Bench:
    """A source that has lived on a cable for so long, in no time."""

    async def live() -> Bench:
        bench = Bench(cable, decoder)
        await bench.listen(seconds)
        return bench

    return virtual_time.run(live())


@pytest.mark.parametrize("rate", [4800, 38_400, 9600, 115_200, 1200])
def test_the_rate_is_found_and_kept(rate: int, caplog: pytest.LogCaptureFixture) -> None:
    cable = Cable(rate)
    with caplog.at_level(logging.INFO):
        bench = lived(cable, 3600.0)
    tried = [4800, 38_400, 9600, 115_200, 19_200, 57_600, 2400, 1200]
    assert cable.rates() == tried[: tried.index(rate) + 1]
    assert bench.account.decoded > 3600 - len(tried) * LISTEN_S - 1
    assert bench.account.detail == f"{rate} baud, found by listening"
    assert f"mast: {rate} baud, found by listening" in caplog.text
    assert bench.shown == []


def test_a_meter_that_speaks_every_ten_seconds_is_found() -> None:
    cable = Cable(9600, interval_s=10.0)
    bench = lived(cable, 100.0)
    assert cable.rates() == [4800, 38_400, 9600]
    assert bench.account.decoded > 0


def test_what_babbles_is_not_listened_to_for_long() -> None:
    cable = Cable(38_400, interval_s=0.001)
    lived(cable, LISTEN_S)
    assert cable.rates() == [4800, 38_400]


def test_that_it_is_still_looking_is_told() -> None:
    bench = lived(Cable(9600), 10.0)
    assert bench.shown == ["no valid frame yet: listening at 4800 baud"]
    assert bench.account.detail == ""


def test_a_port_that_is_away_costs_no_rate_its_chance() -> None:
    cable = Cable(4800, plugged=False)

    async def plug_in() -> Bench:
        bench = Bench(cable)
        asyncio.get_running_loop().call_later(100.0, cable.plug)
        await bench.listen(300.0)
        return bench

    bench = virtual_time.run(plug_in())
    assert cable.rates() == [4800]
    assert bench.account.problem == ""


def test_the_rate_outlives_unplugging() -> None:
    cable = Cable(9600)

    async def replug() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(100.0, cable.unplug)
        loop.call_later(200.0, cable.plug)
        await Bench(cable).listen(400.0)

    virtual_time.run(replug())
    assert cable.rates() == [4800, 38_400, 9600, 9600]


def test_a_device_that_changes_its_rate_is_found_again() -> None:
    cable = Cable(4800, interval_s=0.1)

    async def change() -> Bench:
        bench = Bench(cable)
        asyncio.get_running_loop().call_later(100.0, setattr, cable, "rate", 9600)
        await bench.listen(1000.0)
        return bench

    bench = virtual_time.run(change())
    assert cable.rates() == [4800, 38_400, 9600]
    assert cable.opened_at[1][1] > 100 + DOUBT_S
    assert bench.account.detail.startswith("9600 baud")


def test_a_device_that_is_asked_is_asked_a_few_times_at_each_rate() -> None:
    cable = Cable(9600, interval_s=float("inf"))
    bench = lived(cable, 60.0, "asking")
    assert cable.rates() == [4800, 38_400, 9600]
    assert 2 * REQUESTS <= bench.account.timeouts <= 2 * (REQUESTS + 1) + 1
    assert bench.account.answered > 40


def test_an_error_of_the_line_is_not_taken_for_the_end_of_its_chance() -> None:
    async def fail(_self: object, *_: object) -> NoReturn:
        raise TimeoutError("a bug")

    async def live() -> None:
        bench = Bench(Cable(4800))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CablePort, "run", fail)
            with pytest.raises(TimeoutError, match="a bug"):
                await bench.source.run()

    virtual_time.run(live())
