"""VE.Direct, text mode: Victron's battery monitors, solar chargers, inverters and converters.

    CR LF PID TAB 0x203  CR LF V TAB 12065  ...  CR LF Checksum TAB <byte>

Link: 19200 8N1; a block per second, from a battery monitor two in turn: the live values, and the
history (H1 ...). The sum of all bytes of a block, from its first CR to the checksum byte, is 0
modulo 256. Only whole blocks with a right sum are read, each is one reading; labels never carry
over from one block to the next, but for the product (PID) and the serial number (SER#), which the
history of a battery monitor does not state.

Everything is in the measurement `battery`: whatever the product, V and I are those of its battery.
`device` is SER#, the tag `model` the product's name, or its number as they write it. The battery's
current, power and charge are positive when they go into it. See `_NUMBERS`, `_FLAGS`, `_CODES` for
what becomes of which label; BMV, FW and FWE never change and are not kept; a label that is in none
of them keeps its name.

Traps:
- The checksum byte may be any byte, also CR, LF, TAB or the colon that begins a HEX message.
- A HEX message (`:` hexadecimal digits LF) may stand anywhere, also within a line. It is taken out,
  for the sum does not count it, and is a frame of its own: checked (sum 55 hex) and ignored.
- `---` is no value, and a TTG of -1 means for ever.
- A label that repeats shows two blocks that ran together: refused, whatever their sum.
- The first block after opening mostly lacks its beginning: it is no error that its sum is wrong.

Source: VE.Direct Protocol, version 3.33, and the VE.Direct BlueSolar HEX protocol, by Victron.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.framing.checksums import sum8
from gateway.framing.scanner import Scanner, noise
from gateway.ledger import EXAMPLE_BYTES
from gateway.model import (
    NOTHING,
    Decoded,
    Device,
    Frame,
    Framed,
    Ignored,
    Malformed,
    Noise,
    Reading,
    Reason,
    Value,
    Verdict,
)

BLOCK_MAX: Final = 1024
"""The protocol allows 22 fields, each of 2 + 9 + 1 + 33 bytes at most."""

_HEX_MESSAGE: Final = rb":[0-9A-Fa-f]{2,512}\n"
_LAST_LINE: Final = b"\r\nChecksum\t"
_END: Final = re.compile(rb"(?P<hex>%b)|%b." % (_HEX_MESSAGE, _LAST_LINE), re.DOTALL)
_END_MAX: Final = len(_LAST_LINE) + 1
_HEX_MAX: Final = 1 + 512 + 1
_BEGIN: Final = re.compile(rb"\r\n|\r\Z|:[0-9A-Fa-f]{0,512}\Z")
"""What begins a block, or may do so with what is still to come."""


class Blocks(Scanner):
    """`Framer` for blocks without the HEX messages in them, and for these."""

    def __init__(self) -> None:
        super().__init__(2 * BLOCK_MAX)
        self._first = True
        self._searched = 0
        """No end begins within so many bytes."""

    def step(self, buffer: bytearray, *, ended: bool) -> Framed | Noise | None:
        end = _END.search(buffer, self._searched, 2 * BLOCK_MAX)
        if end is not None and end["hex"]:
            self._searched = _searched(buffer, end.start())
            return _taken_out(buffer, end)
        self._searched = 0
        begin = _BEGIN.search(buffer)
        start = begin.start() if begin else len(buffer)
        if start:
            return noise(buffer, start)
        if end is not None:
            first, self._first = self._first, False
            return Framed(bytes(buffer[: end.end()]), end.end(), first)
        if ended:
            return noise(buffer, len(buffer), Reason.INTERRUPTED)
        if len(buffer) < 2 * BLOCK_MAX:
            self._searched = _searched(buffer, len(buffer))
            return None
        return noise(buffer, BLOCK_MAX, Reason.OVERSIZE)  # what begins in it would have ended

    def restart(self) -> None:
        super().restart()
        self._first = True
        self._searched = 0


def _searched(buffer: bytearray, size: int) -> int:
    """Up to where no end begins that what follows `size` might complete."""
    colon = buffer.rfind(b":", max(size - _HEX_MAX + 1, 0), size)
    searched = max(size - _END_MAX + 1, 0)
    return searched if colon < 0 else min(searched, colon)


def _taken_out(buffer: bytearray, message: re.Match[bytes]) -> Framed:
    """Bring a HEX message to the front, so that what it interrupted is in one piece."""
    data = message["hex"]
    start, end = message.span()
    del buffer[start:end]
    buffer[:0] = data
    return Framed(data, len(data))


class _Number(NamedTuple):
    """What the number of a label means."""

    field: str
    unit: str = ""
    per_unit: int = 1
    """How many of what the device counts are one unit."""


_NUMBERS: Final[Mapping[str, _Number]] = MappingProxyType(
    {
        "V": _Number("battery_voltage", "V", 1000),
        "V2": _Number("battery_voltage_2", "V", 1000),
        "V3": _Number("battery_voltage_3", "V", 1000),
        "VS": _Number("starter_voltage", "V", 1000),
        "VM": _Number("midpoint_voltage", "V", 1000),
        "DM": _Number("midpoint_deviation", "%", 10),
        "VPV": _Number("panel_voltage", "V", 1000),
        "PPV": _Number("panel_power", "W"),
        "I": _Number("battery_current", "A", 1000),
        "I2": _Number("battery_current_2", "A", 1000),
        "I3": _Number("battery_current_3", "A", 1000),
        "IL": _Number("load_current", "A", 1000),
        "T": _Number("battery_temperature", "Cel"),
        "P": _Number("battery_power", "W"),
        "CE": _Number("charge", "A.h", 1000),
        "SOC": _Number("battery", "%", 10),
        "TTG": _Number("time_to_go", "min"),
        "AR": _Number("alarm_reason"),
        "OR": _Number("off_reason"),
        "WARN": _Number("warning_reason"),
        "ERR": _Number("error_code"),
        "MON": _Number("monitor_mode"),
        "HSDS": _Number("day_number"),
        "AC_OUT_V": _Number("ac_output_voltage", "V", 100),
        "AC_OUT_I": _Number("ac_output_current", "A", 10),
        "AC_OUT_S": _Number("ac_output_apparent_power", "V.A"),
        "DC_IN_V": _Number("dc_input_voltage", "V", 100),
        "DC_IN_I": _Number("dc_input_current", "A", 10),
        "DC_IN_P": _Number("dc_input_power", "W"),
        "H1": _Number("deepest_discharge", "A.h", 1000),
        "H2": _Number("last_discharge", "A.h", 1000),
        "H3": _Number("average_discharge", "A.h", 1000),
        "H4": _Number("charge_cycles"),
        "H5": _Number("full_discharges"),
        "H6": _Number("drawn_charge", "A.h", 1000),
        "H7": _Number("battery_voltage_min", "V", 1000),
        "H8": _Number("battery_voltage_max", "V", 1000),
        "H9": _Number("time_since_full_charge", "s"),
        "H10": _Number("synchronizations"),
        "H11": _Number("low_voltage_alarms"),
        "H12": _Number("high_voltage_alarms"),
        "H13": _Number("low_starter_voltage_alarms"),
        "H14": _Number("high_starter_voltage_alarms"),
        "H15": _Number("starter_voltage_min", "V", 1000),
        "H16": _Number("starter_voltage_max", "V", 1000),
        "H17": _Number("discharged_energy", "kW.h", 100),
        "H18": _Number("charged_energy", "kW.h", 100),
        "H19": _Number("panel_energy", "kW.h", 100),
        "H20": _Number("panel_energy_today", "kW.h", 100),
        "H21": _Number("panel_power_max_today", "W"),
        "H22": _Number("panel_energy_yesterday", "kW.h", 100),
        "H23": _Number("panel_power_max_yesterday", "W"),
    }
)

_FLAGS: Final = {"Alarm": "alarm", "Relay": "relay", "LOAD": "load_output"}

_CODES: Final[Mapping[str, tuple[str, Mapping[int, str]]]] = MappingProxyType(
    {
        "CS": (
            "operating_state",
            {
                0: "switched_off",
                1: "low_power",
                2: "fault",
                3: "bulk",
                4: "absorption",
                5: "float",
                6: "storage",
                7: "equalize",
                9: "inverting",
                11: "power_supply",
                245: "starting_up",
                246: "repeated_absorption",
                247: "auto_equalize",
                248: "battery_safe",
                252: "external_control",
            },
        ),
        "MPPT": ("tracker_state", {0: "switched_off", 1: "limited", 2: "tracking"}),
        "MODE": (
            "device_mode",
            {1: "charger", 2: "inverter", 4: "switched_off", 5: "eco", 253: "hibernate"},
        ),
    }
)
"""Never the word "off", which is a number wherever it is read (0)."""

_PRODUCTS: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x203: "BMV-700",
        0x204: "BMV-702",
        0x205: "BMV-700H",
        0xA381: "BMV-712 Smart",
        0xA382: "BMV-710H Smart",
        0xA383: "BMV-712 Smart",
        0xA389: "SmartShunt 500A",
        0xA38A: "SmartShunt 1000A",
        0xA38B: "SmartShunt 2000A",
        0xA04C: "BlueSolar MPPT 75|10",
        0xA042: "BlueSolar MPPT 75|15",
        0xA043: "BlueSolar MPPT 100|15",
        0xA044: "BlueSolar MPPT 100|30",
        0xA053: "SmartSolar MPPT 75|15",
        0xA054: "SmartSolar MPPT 75|10",
        0xA055: "SmartSolar MPPT 100|15",
        0xA056: "SmartSolar MPPT 100|30",
        0xA057: "SmartSolar MPPT 100|50",
        0xA058: "SmartSolar MPPT 150|35",
        0xA05F: "SmartSolar MPPT 100|20",
        0xA060: "SmartSolar MPPT 100|20 48V",
    }
)
"""The common ones."""

_IDENTITY: Final = frozenset({"PID", "SER#", "BMV", "FW", "FWE"})
"""What never changes."""

_DECIMAL: Final = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,6})?", re.ASCII)
_SERIAL_NUMBER: Final = re.compile(r"[!-~]{1,32}")
_HEX: Final = re.compile(r"0x[0-9A-Fa-f]{1,8}")
_HEX_SUM: Final = 0x55


def _number(text: str) -> float | None:
    if _HEX.fullmatch(text):
        return int(text, 16)
    return float(text) if _DECIMAL.fullmatch(text) else None


def _value(label: str, text: str) -> tuple[str, Value] | None:
    """The field and value of a line, or None where it cannot be read."""
    if label in _FLAGS:
        return (_FLAGS[label], text == "ON") if text in ("ON", "OFF") else None
    number = _number(text)
    if label not in _NUMBERS and label not in _CODES:
        return label, text if number is None else number
    if number is None:
        return None
    if label in _CODES:
        field, names = _CODES[label]
        return field, names.get(int(number), f"code {int(number)}")
    return _NUMBERS[label].field, number / _NUMBERS[label].per_unit


def _unread(label: str, text: str) -> bool:
    """Whether a line states nothing that is kept."""
    return label in _IDENTITY or text == "---" or (label == "TTG" and text == "-1")


class VeDirectDecoder:
    """One port's decoder; it remembers which product spoke last."""

    def __init__(self) -> None:
        self._device = ""
        self._model = ""

    def decode(self, frame: Frame) -> Verdict:
        data = frame.data
        if data.startswith(b":"):
            return _hex_message(data)
        lines, last_line, checksum = data.rpartition(_LAST_LINE)
        if not last_line or len(checksum) != 1 or sum8(data) != 0:
            reason = Reason.FIRST_LINE if frame.first else Reason.CHECKSUM
            return Ignored(reason) if frame.first else Malformed(reason, data[:EXAMPLE_BYTES])
        if not lines.isascii():
            return Malformed(Reason.NOT_TEXT, data[:EXAMPLE_BYTES])
        pairs = [line.partition("\t") for line in lines.decode().split("\r\n")[1:]]
        block = {label: text for label, tab, text in pairs if tab}
        if len(block) != len(pairs):
            return Malformed(Reason.SYNTAX, data[:EXAMPLE_BYTES])
        self._identify(block)
        return self._reading(block)

    def _identify(self, block: Mapping[str, str]) -> None:
        serial_number, pid = block.get("SER#", ""), block.get("PID", "")
        if _SERIAL_NUMBER.fullmatch(serial_number):
            self._device = serial_number
        if _HEX.fullmatch(pid):
            self._model = _PRODUCTS.get(int(pid, 16), pid)

    def _reading(self, block: Mapping[str, str]) -> Verdict:
        values: dict[str, Value] = {}
        units: dict[str, str] = {}
        malformed = []
        for label, text in block.items():
            if _unread(label, text):
                continue
            found = _value(label, text)
            if found is None:
                malformed.append(Malformed(Reason.SYNTAX, f"{label} {text}".encode()))
                continue
            values[found[0]] = found[1]
            if label in _NUMBERS and _NUMBERS[label].unit:
                units[found[0]] = _NUMBERS[label].unit
        tags = {"model": self._model} if self._model else NOTHING
        reading = Reading(values, units, self._device, "battery", tags)
        if values or malformed:
            return Decoded([reading] if values else [], malformed)
        return Ignored(Reason.UNAVAILABLE)


def _hex_message(data: bytes) -> Verdict:
    """`:`, a digit for the command, pairs of digits; with the sum of all they make 55 hex."""
    digits = data.strip(b":\n")
    if not re.fullmatch(rb"[0-9A-Fa-f](?:[0-9A-Fa-f]{2})+", digits):
        return Malformed(Reason.SYNTAX, data[:EXAMPLE_BYTES])
    if sum8(bytes.fromhex(f"0{digits.decode()}")) != _HEX_SUM:
        return Malformed(Reason.CHECKSUM, data[:EXAMPLE_BYTES])
    return Ignored(Reason.UNSUPPORTED)


DEVICE = Device(
    name="vedirect",
    summary="Victron VE.Direct: battery monitors, solar chargers, inverters",
    decoder=VeDirectDecoder,
    framer=Blocks,
    baudrates=(19200,),
)
