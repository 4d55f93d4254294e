"""Binary frames that the configuration describes: marks, length, checksum and values.

    start = "AA 55"
    length = { at = 2, type = "uint8", add = 4 }
    checksum = { kind = "crc16_modbus", order = "little", at = -2 }
    values = [ { name = "weight", at = 3, type = "int16", scale = 0.01, unit = "kg" } ]

A place counts from the first byte of the frame, 0, marks included; a negative one from its end.
Numbers are big-endian unless `order` says otherwise.

Limit: FRAME_MAX bytes.
"""

import re
from collections.abc import Callable, Mapping
from struct import Struct
from typing import Final, Literal, NamedTuple

from gateway.framing.checksums import CHECKSUMS, Kind
from gateway.labels import read_value
from gateway.model import Reason, Value
from gateway.options import Table
from gateway.payloads import to_text
from gateway.protocols.decimals import from_float32, scaled

FRAME_MAX: Final = 4_096

Order = Literal["big", "little"]

_INTEGERS: Final[Mapping[str, tuple[int, bool]]] = {
    f"{sign}int{8 * size}": (size, sign == "") for sign in ("", "u") for size in (1, 2, 3, 4, 8)
}
"""Size, and whether it is signed."""

_FLOATS: Final = {"float32": (4, "f"), "float64": (8, "d")}
_TYPES: Final = (*_INTEGERS, *_FLOATS, "bcd", "bit", "text")
_BCD_MAX: Final = 8
_TEXT_MAX: Final = 256
_PLACE: Final = (1 - FRAME_MAX, FRAME_MAX - 1)
_HEX_DIGITS: Final = re.compile(rb"[0-9A-Fa-f]+")
_BLANKS_BEHIND_SIGN: Final = re.compile(r"(?<=\A[+-])\s+")


def cut(data: bytes, at: int, size: int) -> bytes:
    """The bytes at a place; fewer where the frame is too short."""
    begin = at if at >= 0 else len(data) + at
    return data[begin : begin + size] if begin >= 0 else b""


def _order(table: Table) -> Order:
    return "little" if table.choice("order", ("big", "little"), "big") == "little" else "big"


# ---------------------------------------------------------------------------- marks and length


class Check(NamedTuple):
    """A checksum, and where it stands; it is that of all bytes from `begin` to itself."""

    kind: Kind
    begin: int
    at: int
    order: Order
    hexadecimal: bool

    def holds(self, data: bytes) -> bool:
        """Whether the frame is undamaged."""
        size = self.kind.size * (2 if self.hexadecimal else 1)
        stated = cut(data, self.at, size)
        covered = data[self.begin : self.at]
        if len(stated) < size or not covered:
            return False
        if self.hexadecimal:
            if not _HEX_DIGITS.fullmatch(stated):
                return False
            stated = bytes.fromhex(stated.decode("ascii"))
        return int.from_bytes(stated, self.order) == self.kind.compute(covered)


class Length(NamedTuple):
    """How long a frame is: `add` more than the number that stands in it, if one does."""

    at: int
    size: int
    order: Order
    add: int

    def header(self) -> int:
        """Bytes that `of` needs to see."""
        return self.at + self.size

    def of(self, data: bytes) -> int | None:
        """The length of the frame that begins so; None where it cannot be one."""
        stated = data[self.at : self.at + self.size]
        length = int.from_bytes(stated, self.order) + self.add
        return length if self.header() <= length <= FRAME_MAX else None


class Layout(NamedTuple):
    """What the options say of the whole frame."""

    framing: str
    start: bytes
    end: bytes
    trailer: int
    """Bytes behind the end that belong to the frame."""
    length: Length | None
    check: Check | None

    def fault(self, data: bytes) -> Reason | None:
        """What is wrong with the frame; None: nothing, as far as the layout tells."""
        if self.check is not None and not self.check.holds(data):
            return Reason.CHECKSUM
        wrong = (
            not data.startswith(self.start)
            or not data[: len(data) - self.trailer].endswith(self.end)
            or (self.length is not None and self.length.of(data) != len(data))
        )
        return Reason.SYNTAX if wrong else None

    def valid(self, data: bytes) -> bool:
        return self.fault(data) is None


LAYOUT_OPTIONS: Final = frozenset({"framing", "start", "end", "trailer", "length", "checksum"})
FRAMINGS: Final = ("lines", "slip", "hdlc", "cobs")


def read_layout(options: Table) -> Layout:
    """The layout that the options describe; what is wrong is noted in them."""
    layout = Layout(
        framing=options.choice("framing", FRAMINGS, FRAMINGS[0]),
        start=options.octets("start"),
        end=options.octets("end"),
        trailer=options.whole("trailer", 0, 16, 0),
        length=_read_length(options) if options.has("length") else None,
        check=_read_check(options.table("checksum")) if options.has("checksum") else None,
    )
    if options.has("framing"):
        for key in ("start", "end", "trailer", "length"):
            if options.has(key):
                words = f'is for frames with marks: framing = "{layout.framing}" has its own'
                options.wrong(key, words)
        return layout
    if layout.trailer and (not layout.end or layout.length):
        options.wrong("trailer", "counts the bytes behind end, where no length is given")
    if layout.length and not layout.start and not layout.check:
        options.wrong("length", "needs start or checksum, to find where a frame begins")
    if layout.start and not layout.end and not layout.length:
        options.wrong("start", "needs end or length, to find where the frame ends")
    return layout


def _read_length(options: Table) -> Length:
    if not options.holds_table("length"):
        return Length(0, 0, "big", options.whole("length", 1, FRAME_MAX))
    table = options.table("length")
    size, _ = _INTEGERS[table.choice("type", ("uint8", "uint16", "uint24", "uint32"), "uint8")]
    at = table.whole("at", 0, FRAME_MAX - 1)
    length = Length(at, size, _order(table), table.whole("add", -FRAME_MAX, FRAME_MAX, 0))
    table.end()
    return length


def _read_check(table: Table) -> Check:
    kind = CHECKSUMS[table.choice("kind", CHECKSUMS, None)]
    hexadecimal = table.flag("hex")
    size = kind.size * (2 if hexadecimal else 1)
    check = Check(
        kind,
        table.whole("from", 0, FRAME_MAX - 1, 0),
        table.whole("at", *_PLACE, -size),
        _order(table),
        hexadecimal,
    )
    table.end()
    return check


# -------------------------------------------------------------------------------------- values


class Field(NamedTuple):
    """One value of a frame."""

    name: str
    at: int
    size: int
    read: Callable[[bytes], Value | None]
    """None where the bytes are no such value."""
    unit: str


def read_fields(options: Table) -> list[Field]:
    """The fields that `values` lists; what is wrong is noted."""
    fields: list[Field] = []
    for table in options.tables("values"):
        field = _read_field(table)
        if any(field.name == other.name for other in fields):
            table.wrong("name", f'"{field.name}" stands there twice')
        fields.append(field)
    return fields


def _read_field(table: Table) -> Field:
    name = table.text("name", None)
    at = table.whole("at", *_PLACE)
    kind = table.choice("type", _TYPES, None)
    size, read = _reader(table, kind)
    factor, offset = table.number("scale", 1.0), table.number("offset", 0.0)
    unit = table.unit("unit")
    table.end()
    if (factor, offset) != (1.0, 0.0):
        read = _scaled(read, factor, offset)
    return Field(name, at, size, read, unit)


def _reader(table: Table, kind: str) -> tuple[int, Callable[[bytes], Value | None]]:
    """How many bytes a value of this type has, and what they mean."""
    if kind in _INTEGERS:
        size, signed = _INTEGERS[kind]
        return size, _integer(_order(table), signed=signed, mask=_mask(table, size))
    if kind in _FLOATS:
        size, letter = _FLOATS[kind]
        form = Struct(f"{'<' if _order(table) == 'little' else '>'}{letter}")
        if kind == "float32":
            return size, lambda raw: from_float32(form.unpack(raw)[0])
        return size, lambda raw: float(form.unpack(raw)[0])
    if kind == "bcd":
        return table.whole("size", 1, _BCD_MAX), _bcd(_order(table))
    if kind == "bit":
        bit = table.whole("bit", 0, 7)
        return 1, lambda raw: raw[0] >> bit & 1 == 1
    return table.whole("size", 1, _TEXT_MAX), lambda raw: read_word(text_of(raw))


def _mask(table: Table, size: int) -> int | None:
    """The bits that the value consists of; None: all of them."""
    return table.whole("mask", 1, 256**size - 1) if table.has("mask") else None


def _integer(order: Order, *, signed: bool, mask: int | None) -> Callable[[bytes], Value]:
    if mask is None:
        return lambda raw: int.from_bytes(raw, order, signed=signed)
    shift = (mask & -mask).bit_length() - 1
    return lambda raw: (int.from_bytes(raw, order) & mask) >> shift


def _bcd(order: Order) -> Callable[[bytes], Value | None]:
    """Two decimal digits to a byte."""

    def read(raw: bytes) -> Value | None:
        digits = (raw if order == "big" else raw[::-1]).hex()
        return int(digits) if digits.isdecimal() else None

    return read


def text_of(raw: bytes) -> str:
    """UTF-8, or else Latin-1, which any bytes are."""
    text = to_text(raw)
    return raw.decode("latin-1") if text is None else text


def read_word(text: str) -> Value:
    """The number that the text is, else the text; scales print `+  12.34`."""
    word = text.strip(" \t\r\n\0")
    value = read_value(_BLANKS_BEHIND_SIGN.sub("", word), comma=True)
    return word if value is None else value


def _scaled(
    read: Callable[[bytes], Value | None], factor: float, offset: float
) -> Callable[[bytes], Value | None]:
    """Numbers only."""

    def read_scaled(raw: bytes) -> Value | None:
        value = read(raw)
        if value is None or isinstance(value, str | bool):
            return value
        return scaled(value, factor, offset)

    return read_scaled
