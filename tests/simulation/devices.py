"""Devices of the simulated world: each message carries a number and values that follow from it."""

import json
from collections.abc import Callable
from typing import NamedTuple

from tests.simulation.book import Book, Reading, fields_text
from tests.simulation.brokers import BrokerSite, Published
from tests.simulation.ports import PortSite
from tests.simulation.scenario import Device, Says
from tests.simulation.world import START_NS, World

Values = dict[str, float]


class Said(NamedTuple):
    """A payload, and what it is to become: nothing where there are no fields."""

    topic: str
    payload: bytes
    fields: Values
    measurement: str = "sensor"
    time_ns: int | None = None


class Speaker:
    """Lets one device speak, at intervals of its own, until `stop`."""

    def __init__(
        self, world: World, book: Book, device: Device, site: BrokerSite | PortSite
    ) -> None:
        self._world, self._book, self._device, self.site = world, book, device, site
        self._rng = world.chance("device", device.name)
        self._stopped = False
        self._next_later()

    def stop(self) -> None:
        self._stopped = True

    def speak(self) -> None:
        """Say one thing."""
        device, site = self._device, self.site
        number = self._book.readings + 1
        said = _say(device, number, self._world.now_s())
        reading = self._book.open(
            Reading(
                number,
                device.where,
                f"{said.measurement},device={device.name}" if said.fields else "",
                fields_text(said.fields),
                said.time_ns,
                poison=device.says is Says.POISON,
            )
        )
        if isinstance(site, PortSite):
            site.say(said.payload, reading, noise=self._rng.random() < 0.05)
            return
        message = Published(
            said.topic,
            said.payload,
            reading,
            qos=0 if device.says is Says.FLEETING else 1,
            retain=device.says is Says.OLD,
        )
        site.publish(message)
        if self._rng.random() < device.again:
            site.publish(message)

    def _next_later(self) -> None:
        self._world.later(self._rng.expovariate(1.0 / self._device.pause_s), self._next)

    def _next(self) -> None:
        if self._stopped:
            return
        for _ in range(self._rng.choice((1, 1, 1, self._device.burst_max))):
            self.speak()
        self._next_later()


def _say(device: Device, number: int, now_s: float) -> Said:
    values: dict[str, float] = {
        "number": number,
        "temperature": (number * 37 % 1200 - 400) / 10,
        "on": number % 2 == 0,
    }
    return _WAYS[device.says](device.name, values, now_s)


def _state(name: str, values: Values, _now_s: float) -> Said:
    return Said(f"say/{name}", _json(values), values)


def _stamped(name: str, values: Values, now_s: float) -> Said:
    """With a time in the last few seconds, in microseconds, a different one each time."""
    number = int(values["number"])
    time_us = START_NS // 1000 + round(now_s * 1000) * 1000 - number % 5_000_000
    payload = _json({**values, "time": time_us})
    return Said(f"say/{name}", payload, values, time_ns=time_us * 1000)


def _value(name: str, values: Values, _now_s: float) -> Said:
    number = values["number"]
    return Said(f"value/{name}/number", b"%d" % number, {"number": number})


def _switch(name: str, _values: Values, _now_s: float) -> Said:
    return Said(f"value/{name}/switch", b"off", {"switch": 0})


def _poison(name: str, values: Values, _now_s: float) -> Said:
    return Said(f"poison/{name}", _json(values), values, "poison")


def _broken(name: str, values: Values, _now_s: float) -> Said:
    return Said(f"say/{name}", _json(values)[:-1], {})


def _nothing(name: str, _values: Values, _now_s: float) -> Said:
    return Said(f"say/{name}", _json({"nothing": "nan", "number": None}), {})


def _old(name: str, values: Values, _now_s: float) -> Said:
    return Said(f"say/{name}", _json(values), {})


def _line(_name: str, values: Values, _now_s: float) -> Said:
    return Said("", _json(values) + b"\r\n", values)


def _json(values: object) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode()


_WAYS: dict[Says, Callable[[str, Values, float], Said]] = {
    Says.STATE: _state,
    Says.FLEETING: _state,
    Says.STAMPED: _stamped,
    Says.VALUE: _value,
    Says.SWITCH: _switch,
    Says.POISON: _poison,
    Says.BROKEN: _broken,
    Says.NOTHING: _nothing,
    Says.OLD: _old,
    Says.LINE: _line,
}
