"""Victron products on a VE.Direct port, text mode.

    CR LF label TAB value   ...   CR LF Checksum TAB byte       the sum of all bytes is 0 modulo 256

* `bmv`       a battery monitor: two blocks, live values and history
* `mppt`      a solar charger: one block
* `mppt_hex`  the same, with HEX messages before, between and within its lines; they do not count in
              the sum

One item is one block; its values are the numbers in it, under its labels.
"""

from collections.abc import Mapping

from simulators.devices import Device, Item, Measure, Values

_BULK = 3
_TRACKING = 2
_FULL_A_H = 200


def block(fields: Mapping[str, object]) -> Item:
    """Return a whole block; texts are not among its values."""
    text = "".join(f"\r\n{label}\t{value}" for label, value in fields.items()).encode()
    data = text + b"\r\nChecksum\t"
    data += bytes([-sum(data) & 0xFF])
    values: Values = {k: v for k, v in fields.items() if isinstance(v, int)}
    return Item("", data, values)


def hex_message(command: int, data: bytes) -> bytes:
    """Return `:`, the command's digit, the data and what makes the sum of all 55 hex."""
    check = (0x55 - command - sum(data)) & 0xFF
    return b":%X%b%02X\n" % (command, data.hex().upper().encode(), check)


def _bmv(measure: Measure, t: float) -> list[Item]:
    volts, amperes = measure("battery_voltage", t), measure("battery_current", t)
    charge = measure("battery", t)
    drawn = _FULL_A_H * (100 - charge) / 100
    live = {
        "PID": "0xA381",
        "V": round(volts * 1000),
        "VS": round(volts * 1000) - 180,
        "I": round(amperes * 1000),
        "P": round(volts * amperes),
        "CE": -round(drawn * 1000),
        "SOC": round(charge * 10),
        "TTG": round((_FULL_A_H - drawn) / -amperes * 60) if amperes < 0 else -1,
        "Alarm": "OFF",
        "Relay": "OFF",
        "AR": 0,
        "BMV": "712 Smart",
        "FW": "0413",
        "MON": 0,
    }
    history = {
        "H1": -149_322,
        "H2": -82_854,
        "H3": 0,
        "H4": 3,
        "H5": 0,
        "H6": -5_526_294,
        "H7": 11_733,
        "H8": 16_161,
        "H9": round(t),
        "H10": 26,
        "H11": 0,
        "H12": 0,
        "H15": 11_580,
        "H16": 15_992,
        "H17": 6_843,
        "H18": 8_527,
    }
    return [block(live), block(history)]


def _mppt(measure: Measure, t: float) -> list[Item]:
    volts, power = measure("battery_voltage", t), measure("panel_power", t)
    energy = measure("energy", t)
    fields = {
        "PID": "0xA053",
        "FW": "159",
        "SER#": "HQ2132SIMUL",
        "V": round(volts * 1000),
        "I": round(power / volts * 1000) - 300,
        "VPV": round(measure("panel_voltage", t) * 1000),
        "PPV": round(power),
        "CS": _BULK if power > 0 else 0,
        "MPPT": _TRACKING if power > 0 else 0,
        "OR": "0x00000000" if power > 0 else "0x00000001",
        "ERR": 0,
        "LOAD": "ON",
        "IL": 300,
        "H19": round(energy * 100),
        "H20": round(energy * 100) % 150,
        "H21": 212,
        "H22": 131,
        "H23": 198,
        "HSDS": int(t // 86_400) % 365,
    }
    return [block(fields)]


def _mppt_hex(measure: Measure, t: float) -> list[Item]:
    """Cut the block where no line ends and at its last line, as its sender does."""
    return [
        item._replace(data=_interrupted(item.data, hex_message(0xA, _panel_power(item))))
        for item in _mppt(measure, t)
    ]


def _panel_power(item: Item) -> bytes:
    """Register EDBC, panel power in 0.01 W, as it is sent when it changes."""
    return b"\xbc\xed\x00" + (int(item.values["PPV"]) * 100).to_bytes(4, "little")


def _interrupted(data: bytes, message: bytes) -> bytes:
    within, last = len(data) // 2, data.rindex(b"\r\nChecksum")
    return message + data[:within] + message + data[within:last] + message + data[last:]


_VARIANTS = {"": _bmv, "bmv": _bmv, "mppt": _mppt, "mppt_hex": _mppt_hex}


class VeDirectDevice:
    """One product on its port."""

    def __init__(self, name: str, measure: Measure, variant: str) -> None:
        """Say what a product of this variant says."""
        self.name = name
        self._measure = measure
        self._blocks = _VARIANTS[variant]

    def emit(self, _sequence: int, t: float) -> list[Item]:
        """Return the blocks of one second."""
        return self._blocks(self._measure, t)

    def reset(self) -> None:
        """Keep nothing: a block does not depend on those before it."""


def make(name: str, measure: Measure, variant: str = "") -> Device:
    """Return a device; raises ValueError for an unknown variant."""
    if variant not in _VARIANTS:
        raise ValueError(f"no such variant: {variant!r}; there are {', '.join(_VARIANTS)}")
    return VeDirectDevice(name, measure, variant)
