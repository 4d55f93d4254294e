"""rtl_433 -F json -M level: what a receiver hears of four transmitters and of the neighbours.

An emission is one transmission, of each transmitter in turn, and comes one to four times, because
that is how such transmitters send. Copies differ in their levels and nothing else. Numbers with a
fraction have three decimals, as the program prints them. The time has no zone.

* `Nexus-TH`, a thermometer: temperature and humidity
* `Acurite-5n1`, a weather station: by turns temperature or direction, beside the wind, in
  Fahrenheit and miles per hour, with the number of the copy
* `Generic-Motion`: an event and nothing else
* a tyre of whoever drives past: each time another one
"""

from datetime import UTC, datetime, timedelta
from zlib import crc32

from simulators.devices import Item, Measure, Values

START = datetime(2024, 5, 1, 10, 0, 0, tzinfo=UTC)
COPIES_MAX = 4

Event = dict[str, str | int | float]


class Rtl433:
    """One receiver."""

    def __init__(self, name: str, measure: Measure) -> None:
        """Hear transmitters whose identities are always the same for a name."""
        self.name = name
        self._measure = measure
        self._id = crc32(name.encode()) & 0xFF

    def reset(self) -> None:
        """Has nothing to forget."""

    def emit(self, sequence: int, t: float) -> list[Item]:
        """Return all copies of one transmission; the numbers are those of the first."""
        transmitters = (self._thermometer, self._station, self._motion, self._tyre)
        heard, values = transmitters[sequence % len(transmitters)](sequence, t)
        when = START + timedelta(seconds=t)
        dice = crc32(f"{self.name} {sequence}".encode())
        items = []
        for copy in range(1 + dice % COPIES_MAX):
            rssi = -((dice >> 8 * copy & 0xFF) + 1) / 64
            levels: Values = {"rssi": rssi, "snr": rssi + 22.5}
            event: Event = {"time": f"{when:%Y-%m-%d %H:%M:%S}", **heard, **values}
            if heard["model"] == "Acurite-5n1":
                event["sequence_num"] = copy
            radio: Event = {"mod": "ASK", "freq": 433.9 + rssi / 100, **levels, "noise": -22.5}
            items.append(Item("", _line(event | radio), {} if copy else values | levels))
        return items

    def _thermometer(self, _sequence: int, t: float) -> tuple[Event, Values]:
        return {"model": "Nexus-TH", "id": self._id, "channel": 3}, {
            "battery_ok": 1,
            "temperature_C": round(self._measure("temperature", t), 1),
            "humidity": round(self._measure("humidity", t)),
        }

    def _station(self, sequence: int, t: float) -> tuple[Event, Values]:
        values: Values = {
            "battery_ok": int(self._measure("battery", t) > 10),  # noqa: PLR2004 -- per cent
            "wind_avg_mi_h": round(self._measure("wind_speed", t) / 0.44704, 3),
        }
        if sequence // 4 % 2:
            values["wind_dir_deg"] = round(self._measure("wind_direction", t) / 22.5) % 16 * 22.5
        else:
            values["temperature_F"] = round(self._measure("temperature", t) * 1.8 + 32, 1)
            values["humidity"] = round(self._measure("humidity", t))
        return {"model": "Acurite-5n1", "id": 3000 + self._id, "channel": "C"}, values

    def _motion(self, _sequence: int, _t: float) -> tuple[Event, Values]:
        return {"model": "Generic-Motion", "id": f"{self._id:x}"}, {}

    def _tyre(self, sequence: int, t: float) -> tuple[Event, Values]:
        identity = f"{crc32(f'{self.name} tyre {sequence}'.encode()):08x}"
        return {"model": "Schrader-EG53MA4", "type": "TPMS", "id": identity, "mic": "CHECKSUM"}, {
            "pressure_kPa": 215.0 + sequence % 50 / 2,
            "temperature_C": round(self._measure("temperature", t) + 10, 1),
        }


def _line(event: Event) -> bytes:
    pairs = (f'"{name}" : {_printed(value)}' for name, value in event.items())
    return f"{{{', '.join(pairs)}}}\n".encode()


def _printed(value: str | float) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def make(name: str, measure: Measure, variant: str = "") -> Rtl433:
    """Return a receiver; there is one kind only."""
    if variant:
        msg = f"rtl_433 has no variant {variant!r}"
        raise ValueError(msg)
    return Rtl433(name, measure)
