"""A Modbus line in virtual time: the gateway's decoder and poller, and simulated devices."""

import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from gateway.model import FieldValue, Observation
from simulators import virtual_time
from simulators.bus import Bus
from simulators.devices import Reply
from simulators.devices.modbus import Slave, crc, make
from tests.fakes import NOON
from tests.polled import Line

Options = Sequence[Mapping[str, object]]
Respond = Callable[[bytes, float], Sequence[Reply]]

BASES = {"energy": 1250.0, "voltage": 230.0, "frequency": 49.9, "power_factor": 0.9}


def world(quantity: str, t: float) -> float:
    """A different value for every quantity and every second."""
    return BASES.get(quantity, 10.0 + len(quantity)) + int(t) % 7 / 100


def slave(name: str, variant: str) -> Slave:
    return make(name, world, variant)


def bus(*variants: str, echo: bool = False) -> Bus:
    """Devices named a, b, c, ..."""
    members = [slave(chr(ord("a") + n), variant) for n, variant in enumerate(variants)]
    return Bus("bus", members, echo=echo)


class Asked(NamedTuple):
    """A request that a device got."""

    at_s: float
    start: int
    size: int

    @property
    def span(self) -> range:
        return range(self.start, self.start + self.size)


Rule = Callable[[Asked], list[Reply] | int | None]
"""What is answered: that; an exception; as usual."""


class Numbers:
    """A device whose registers hold their own numbers, unless its rule says something else."""

    def __init__(
        self, address: int = 1, rule: Rule = lambda _: None, *, delay_s: float = 0.01
    ) -> None:
        self.name = f"device {address}"
        self.address = address
        self.rule = rule
        self.asked: list[Asked] = []
        self._delay_s = delay_s

    def reset(self) -> None:
        pass

    def receive(self, data: bytes, t: float) -> list[Reply]:
        if data[0] != self.address:
            return []
        asked = Asked(t, *struct.unpack(">HH", data[2:6]))
        self.asked.append(asked)
        said = self.rule(asked)
        if isinstance(said, list):
            return said
        if said is not None:
            return [Reply(self.frame(bytes([data[1] | 0x80, said])), self._delay_s)]
        return [Reply(self.answer(asked, data[1]), self._delay_s)]

    def answer(self, asked: Asked, function: int = 3) -> bytes:
        content = struct.pack(f">{asked.size}H", *asked.span)
        return self.frame(bytes([function, len(content)]) + content)

    def frame(self, pdu: bytes) -> bytes:
        body = bytes([self.address]) + pdu
        return body + crc(body)


SILENCE: list[Reply] = []


def numbers(*registers: int, address: int = 1, **more: object) -> dict[str, object]:
    """The options of such a device."""
    wanted = [{"name": f"r{n}", "register": n} for n in registers]
    return {"name": f"d{address}", "address": address, "interval": "1s", "registers": wanted} | more


class Point(NamedTuple):
    """An observation."""

    at_s: float
    device: str
    fields: Mapping[str, FieldValue]
    measurement: str
    tags: Mapping[str, str]


class Run(NamedTuple):
    """What became of a while on the line."""

    points: list[Point]
    line: Line

    def of(self, device: str) -> list[Point]:
        return [point for point in self.points if point.device == device]

    def intervals(self, device: str) -> list[float]:
        times = [point.at_s for point in self.of(device)]
        return [after - before for before, after in pairwise(times)]

    def polls(self) -> dict[str, int]:
        account = self.line.account
        names = ("answered", "exceptions", "timeouts", "invalid")
        return {name: count for name in names if (count := getattr(account, name))}

    def losses(self) -> Counter[str]:
        """What ended somewhere, by reason."""
        found: Counter[str] = Counter()
        for (_, _, reason), loss in self.line.ledger.losses.items():
            found[str(reason)] += loss.count
        return found

    @property
    def problems(self) -> list[str]:
        return self.line.poller.problems()


def play(
    options: Options,
    respond: Respond,
    seconds: float,
    *,
    decoder: str = "modbus",
    baudrate: int = 9600,
) -> Run:
    """Run the line for a while."""

    async def main() -> Run:
        line = Line(decoder, respond, baudrate=baudrate, options={"devices": [*options]})
        await line.run(seconds)
        return Run([_point(each) for each in await line.observations()], line)

    return virtual_time.run(main())


def _point(observation: Observation) -> Point:
    tags = dict(observation.series.tags)
    at_s = (observation.time_ns - NOON) / 1e9
    measurement = observation.series.measurement
    return Point(at_s, tags.pop("device"), observation.fields, measurement, tags)
