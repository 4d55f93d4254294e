"""Any serial device, described in the configuration: how its frames are cut, and what is in them.

Framing, by what the options say:

    nothing                         lines of text
    start, end                      between two marks, `trailer` bytes (a checksum) behind the end
    end                             up to a delimiter
    start, length                   a mark, then one length or a length that stands in the frame
    length, checksum                one length without a mark: where the checksum holds
    framing = "slip" "hdlc" "cobs"  between flags that the data does not contain

Checksum: one of `gateway.framing.checksums`, from any byte up to where it stands, in bytes or in
hexadecimal digits. A frame whose checksum is wrong is malformed, and so is one that has not the
marks and the length that were said, or is too short for one of its values.

Values: `values` lists them by place, type, scale and unit (`gateway.protocols.layouts`); or
`pattern` finds named groups in the frame's text, in linear time (`gateway.patterns`). Names and
units are the user's; the dictionary makes one name of them as for every decoder. A frame has one
kind: of a device that sends several, `start` picks one, for what has another start is noise.

Traps: between start and end, data that contains the start is cut there: give a length instead. The
first frame after opening may be the rest of one where nothing but its end is marked: without a
checksum it is dropped. Text is UTF-8 or else Latin-1.

Limits: FRAME_MAX bytes in a frame, 256 values.
"""

import re
from collections.abc import Mapping
from typing import Final

from gateway.errors import ConfigError
from gateway.framing.delimited import Delimited, Lines
from gateway.framing.marked import Marked
from gateway.framing.sized import Sized
from gateway.framing.stuffed import Cobs, Hdlc, Slip
from gateway.ledger import EXAMPLE_BYTES
from gateway.model import Device, Frame, Framer, Ignored, Malformed, Reason, Value, Verdict
from gateway.objects import OPTIONS, ObjectReader
from gateway.options import Problems, Table
from gateway.patterns import Pattern
from gateway.protocols.layouts import (
    FRAME_MAX,
    LAYOUT_OPTIONS,
    Field,
    Layout,
    cut,
    read_fields,
    read_layout,
    read_word,
    text_of,
)

_STUFFED: Final = {"slip": Slip, "hdlc": Hdlc, "cobs": Cobs}


def make_framer(**content: object) -> Framer:
    """The framer that the options describe; raises ConfigError."""
    problems = Problems()
    options = Table(content, "", problems)
    layout = read_layout(options)
    options.end()
    problems.check()
    if layout.framing in _STUFFED:
        return _STUFFED[layout.framing](size_max=FRAME_MAX)
    return _marked_framer(layout)


def _marked_framer(layout: Layout) -> Framer:
    if layout.length is not None:
        return Sized(
            layout.start,
            header=max(layout.length.header(), len(layout.start), 1),
            length=layout.length.of,
            size_max=FRAME_MAX,
            valid=layout.valid,
        )
    if layout.start:
        return Marked(
            re.compile(re.escape(layout.start)),
            re.compile(re.escape(layout.end) + b".{%d}" % layout.trailer, re.DOTALL),
            size_max=FRAME_MAX,
            start_max=len(layout.start),
            end_max=len(layout.end) + layout.trailer,
            valid=layout.valid,
        )
    return Delimited(layout.end, size_max=FRAME_MAX) if layout.end else Lines()


class FramesDecoder:
    """One device's decoder; its options stand above."""

    def __init__(
        self, *, time: str = "", timezone: str = "", device: str = "", **content: object
    ) -> None:
        problems = Problems()
        options = Table(content, "", problems)
        self._layout = read_layout(options)
        self._fields: list[Field] = read_fields(options) if options.has("values") else []
        self._pattern = _read_pattern(options)
        self._units = self._read_units(options)
        if options.has("values") == options.has("pattern"):
            options.wrong("values", "give either values or a pattern")
        options.end()
        try:
            self._objects = ObjectReader(time=time, timezone=timezone, device=device)
        except ConfigError as error:
            problems.sentences += error.problems
        problems.check()

    def decode(self, frame: Frame) -> Verdict:
        data = frame.data
        if frame.first and self._layout.check is None:
            return Ignored(Reason.FIRST_LINE)
        if len(data) > FRAME_MAX:
            return Malformed(Reason.TOO_LARGE, data[:EXAMPLE_BYTES])
        fault = self._layout.fault(data)
        if fault is not None:
            return Malformed(fault, data[:EXAMPLE_BYTES])
        malformed: tuple[Malformed, ...] = ()
        if self._pattern is not None:
            found = _search(self._pattern, data)
        else:
            found, malformed = self._read(data)
        if isinstance(found, Reason):
            return Malformed(found, data[:EXAMPLE_BYTES])
        return self._objects.reading(found, self._units, frame.received_at_ns, malformed)

    def _read(self, data: bytes) -> tuple[dict[str, Value] | Reason, tuple[Malformed, ...]]:
        """The values of the fields; what is no such value is malformed and costs only itself."""
        values: dict[str, Value] = {}
        malformed: tuple[Malformed, ...] = ()
        for field in self._fields:
            raw = cut(data, field.at, field.size)
            if len(raw) < field.size:
                return Reason.SYNTAX, ()
            value = field.read(raw)
            if value is None:
                malformed += (Malformed(Reason.SYNTAX, raw),)
            else:
                values[field.name] = value
        return values, malformed

    def _read_units(self, options: Table) -> Mapping[str, str]:
        """By the value's name: of fields their own, of a pattern those that `units` lists."""
        if not options.has("pattern"):
            if options.has("units"):
                options.wrong("units", "is for a pattern: each of the values has its own unit")
            return {field.name: field.unit for field in self._fields if field.unit}
        table = options.table("units")
        if self._pattern is None:
            return {}
        units = {name: table.unit(name) for name in self._pattern.names if table.has(name)}
        table.end()
        return units


def _read_pattern(options: Table) -> Pattern | None:
    if not options.has("pattern"):
        return None
    try:
        pattern = Pattern(options.text("pattern"))
    except ValueError as error:
        options.wrong("pattern", str(error))
        return None
    if not pattern.names:
        options.wrong("pattern", "has no named group, such as (?P<temperature>[-0-9.]+)")
    return pattern


def _search(pattern: Pattern, data: bytes) -> dict[str, Value] | Reason:
    """The values of the groups that took part."""
    found = pattern.search(text_of(data))
    if isinstance(found, Reason):
        return found
    return {name: read_word(text) for name, text in found.items()}


DEVICE = Device(
    name="frames",
    summary="any serial device, described by marks, length, checksum and values or a pattern",
    decoder=FramesDecoder,
    framer=make_framer,
    options=LAYOUT_OPTIONS | OPTIONS | {"values", "pattern", "units"},
    framer_options=LAYOUT_OPTIONS,
    shared_options=LAYOUT_OPTIONS,
)
