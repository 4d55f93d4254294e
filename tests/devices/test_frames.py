"""Frames that the configuration describes: every way to cut them, every type, every mistake."""

import re
import tomllib
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from gateway.conformance import Vector, feed, readings_of
from gateway.devices.frames import DEVICE
from gateway.errors import ConfigError
from gateway.framing.checksums import CHECKSUMS
from gateway.framing.delimited import LINE_MAX, Delimited, Lines
from gateway.framing.marked import Marked
from gateway.framing.sized import Sized
from gateway.framing.stuffed import Cobs, Hdlc, Slip
from gateway.model import Decoded, Frame, Framed, Ignored, Malformed, Reason, Value, Verdict
from gateway.protocols.layouts import FRAME_MAX
from simulators.devices.frames import OPTIONS, make
from simulators.world import World
from tests.specimens.frames import FIXED, PREFIXED, TOTAL, VECTORS, WEIGHT, crc16

Options = Mapping[str, object]

BYTE = [{"name": "x", "at": 0, "type": "uint8"}]


def decode(data: bytes, options: Options, *, first: bool = False) -> Verdict:
    return DEVICE.make_decoder(options).decode(Frame(data, 0, first=first))


def values(data: bytes, *fields: Options) -> dict[str, Value]:
    """What the fields, which need no name here, say of the data."""
    named = [{"name": f"f{number}"} | dict(field) for number, field in enumerate(fields)]
    verdict = decode(data, {"values": named})
    assert isinstance(verdict, Decoded), verdict
    return dict(verdict.readings[0].values)


def value(data: bytes, **field: object) -> Value:
    (found,) = values(data, {"at": 0} | field).values()
    return found


def problems(**options: object) -> list[str]:
    """What decoder and framer find wrong, each sentence once."""
    found: dict[str, None] = {}
    for build in (DEVICE.make_decoder, DEVICE.make_framer):
        try:
            build(options)
        except ConfigError as error:
            found |= dict.fromkeys(error.problems)
    return list(found)


# ------------------------------------------------------------------------------------- framing


@pytest.mark.parametrize(
    ("options", "framer"),
    [
        ({}, Lines),
        ({"start": "02", "end": "03", "trailer": 1}, Marked),
        ({"end": "0D 0A"}, Delimited),
        ({"start": "AA 55", "length": 9}, Sized),
        ({"length": 9, "checksum": {"kind": "crc8"}}, Sized),
        ({"start": "AA", "length": {"at": 2, "type": "uint16", "order": "little"}}, Sized),
        ({"framing": "slip"}, Slip),
        ({"framing": "hdlc"}, Hdlc),
        ({"framing": "cobs"}, Cobs),
        ({"framing": "lines"}, Lines),
    ],
)
def test_the_options_choose_the_framer(options: Options, framer: type) -> None:
    assert type(DEVICE.make_framer(options)) is framer


def test_a_length_within_the_frame_may_have_any_type_and_place() -> None:
    options = {"start": "55", "length": {"at": 3, "type": "uint16", "order": "little", "add": -2}}
    framer = DEVICE.make_framer(options)
    assert framer is not None
    frame = b"\x55ab\x09\x00cd"
    items = list(feed(framer, [b"\x55ab\x01\x00" + frame + b"\x55ab\xff\xff" + frame]))
    assert [item.data for item in items if isinstance(item, Framed)] == [frame, frame]


def test_a_mark_within_the_data_cuts_no_frame_of_known_length() -> None:
    tricky = b"\xaa\x55\x04\xaa\x55\xaa\x55"
    stream = tricky + crc16(tricky[2:]).to_bytes(2, "little")
    vector = VECTORS[0]._replace(data=stream)
    (reading,) = readings_of(DEVICE, [stream + stream[:5]], vector)
    assert reading.values["battery"] == 0xAA


# ---------------------------------------------------------------------------------- checksums


@pytest.mark.parametrize("kind", CHECKSUMS)
@pytest.mark.parametrize("order", ["big", "little"])
def test_every_checksum_counts(kind: str, order: str) -> None:
    """With the check value that is published for it."""
    _, size, check = CHECKSUMS[kind]
    stated = check.to_bytes(size, "big" if order == "big" else "little")
    options = {"checksum": {"kind": kind, "order": order, "from": 2}, "values": BYTE}
    assert isinstance(decode(b"..123456789" + stated, options), Decoded)
    for bit in range(8 * size):
        damaged = bytearray(stated)
        damaged[bit // 8] ^= 1 << bit % 8
        verdict = decode(b"..123456789" + damaged, options)
        assert isinstance(verdict, Malformed)
        assert verdict.reason is Reason.CHECKSUM


def test_a_checksum_may_stand_anywhere_and_in_digits() -> None:
    inside = {"checksum": {"kind": "sum8", "at": 3}, "values": BYTE}
    assert isinstance(decode(b"\x01\x02\x03\x06tail", inside), Decoded)
    digits = {"checksum": {"kind": "crc16_modbus", "hex": True, "at": -6}, "values": BYTE}
    assert isinstance(decode(b"1234567894B37\r\n", digits), Decoded)
    assert isinstance(decode(b"1234567894b37\r\n", digits), Decoded)
    for wrong in (b"123456789+B37\r\n", b"1234567894B3\r\n", b"4B37\r\n", b""):
        assert decode(wrong, digits) == Malformed(Reason.CHECKSUM, wrong)


@pytest.mark.parametrize(
    ("data", "options", "reason"),
    [
        (WEIGHT + b"\0\0", PREFIXED, Reason.CHECKSUM),
        (b"\xaa\x55" + crc16(b"").to_bytes(2, "little"), PREFIXED, Reason.CHECKSUM),
        (TOTAL[:-1] + crc16(TOTAL[1:-1]).to_bytes(2, "little"), FIXED, Reason.SYNTAX),
        (b"\xab" + VECTORS[1].data[1:], FIXED, Reason.SYNTAX),
        (b"\x02a\x04", {"start": "02", "end": "03", "values": BYTE}, Reason.SYNTAX),
        (b"\x02a", {"values": [BYTE[0] | {"at": 2}]}, Reason.SYNTAX),
        (b"\x02a", {"values": [BYTE[0] | {"at": -3}]}, Reason.SYNTAX),
        (b"x" * (FRAME_MAX + 1), {"values": BYTE}, Reason.TOO_LARGE),
        (b"no match", {"pattern": r"(?P<x>\d)"}, Reason.SYNTAX),
        (b"ab" * (LINE_MAX // 2), {"pattern": "(?P<x>a|b)*a(a|b){20}c"}, Reason.SYNTAX),
    ],
)
def test_a_frame_that_is_not_as_described_is_malformed(
    data: bytes, options: Options, reason: Reason
) -> None:
    verdict = decode(data, options)
    assert isinstance(verdict, Malformed)
    assert verdict.reason is reason


def test_a_first_frame_counts_where_a_checksum_proves_it_whole() -> None:
    checked = {"end": "0D", "checksum": {"kind": "sum8", "at": -2}, "values": BYTE}
    assert isinstance(decode(b"\x01\x02\x03\r", checked, first=True), Decoded)
    unchecked = {"end": "0D", "values": BYTE}
    assert decode(b"\x03\r", unchecked, first=True) == Ignored(Reason.FIRST_LINE)
    assert decode(b"21", {"pattern": "(?P<x>.*)"}, first=True) == Ignored(Reason.FIRST_LINE)


# -------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("data", "field", "true"),
    [
        ("80", {"type": "int8"}, -128),
        ("80", {"type": "uint8"}, 128),
        ("FF 00", {"type": "int16"}, -256),
        ("FF 00", {"type": "int16", "order": "little"}, 255),
        ("01 00 00", {"type": "uint24"}, 65536),
        ("FF FF FE", {"type": "int24"}, -2),
        ("00 00 00 00", {"type": "uint32"}, 0),
        ("FF FF FF FF FF FF FF FF", {"type": "uint64"}, 2**64 - 1),
        ("41 CC 00 00", {"type": "float32"}, 25.5),
        ("33 33 66 43", {"type": "float32", "order": "little"}, 230.2),
        ("00 00 00 00 00 00 F8 BF", {"type": "float64", "order": "little"}, -1.5),
        ("12 34", {"type": "bcd", "size": 2}, 1234),
        ("12 34", {"type": "bcd", "size": 2, "order": "little", "scale": 0.1}, 341.2),
        ("04", {"type": "bit", "bit": 2}, True),
        ("04", {"type": "bit", "bit": 1}, False),
        ("2D 20 31 2E 35 20", {"type": "text", "size": 6}, -1.5),
        ("32 31 2C 35", {"type": "text", "size": 4, "scale": 10}, 215.0),
        ("4F 4B 00", {"type": "text", "size": 3}, "OK"),
        ("B0 F6", {"type": "text", "size": 2}, "°ö"),
        ("5A", {"type": "uint8", "mask": 0xF0}, 5),
        ("83", {"type": "uint8", "mask": 0x83}, 0x83),
        ("80 01", {"type": "int16", "mask": 0x8000}, 1),
        ("00 03", {"type": "uint16", "scale": 0.001}, 0.003),
        ("00 07", {"type": "uint16", "scale": 0.01, "offset": -40}, -39.93),
        ("00 07", {"type": "uint16", "scale": 1.5}, 10.5),
        ("00 07", {"type": "uint16", "scale": 0}, 0.0),
        ("00 07", {"type": "uint16", "scale": -0.5}, -3.5),
    ],
)
def test_every_type_is_read(data: str, field: Options, true: Value) -> None:
    found = value(bytes.fromhex(data), **field)
    assert found == true
    assert type(found) is type(true)


def test_a_place_counts_from_either_end() -> None:
    data = bytes(range(8))
    assert values(data, {"at": 2, "type": "uint8"}, {"at": -2, "type": "uint16"}) == {
        "f0": 2,
        "f1": 0x0607,
    }


def test_what_is_no_number_costs_only_itself() -> None:
    fields = [*BYTE, {"name": "y", "at": 1, "type": "bcd", "size": 1}]
    verdict = decode(b"\x05\xff", {"values": fields})
    assert isinstance(verdict, Decoded)
    assert [reading.values for reading in verdict.readings] == [{"x": 5}]
    assert verdict.malformed == (Malformed(Reason.SYNTAX, b"\xff"),)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("a=1 b=2.5 c=on", {"a": 1.0, "b": 2.5, "c": "on"}),
        ("a=1", {"a": 1.0}),
        ("a=-1,5 b=", {"a": -1.5, "b": ""}),
        ("a=21.5 °C b=x", {"a": "21.5 °C", "b": "x"}),
    ],
)
def test_groups_are_numbers_or_words(line: str, found: dict[str, Value]) -> None:
    pattern = r"a=(?P<a>[^=]*?)( b=(?P<b>\S*))?( c=(?P<c>\S+))?$"
    verdict = decode(line.encode(), {"pattern": pattern})
    assert isinstance(verdict, Decoded)
    assert verdict.readings[0].values == found


# ------------------------------------------------------------------------------------ mistakes


def test_every_mistake_is_said_at_once() -> None:
    found = problems(
        start="AA 5",
        length={"at": -1, "type": "uint7", "add": 4, "ad": 3},
        checksum={"kind": "crc16_modbuss", "order": "litle", "hex": 1},
        timezone="Mars",
        values=[
            {"name": "weight", "at": 3, "type": "int61", "scale": "x", "unit": "kgg"},
            {"name": "weight", "at": 1.5, "type": "bcd", "size": 9},
            {"at": 3, "type": "bit", "bit": 9, "mask": 1},
            {"name": "y", "at": 0, "type": "uint8", "mask": 256},
            7,
        ],
    )
    assert found == [
        'start: bytes in hexadecimal digits, such as "AA 55" is expected',
        'length.type: no such type "uint7"; did you mean "uint8"?',
        "length.at: a whole number from 0 to 4095 is expected",
        'length.ad: unknown key; did you mean "add"?',
        'checksum.kind: no such kind "crc16_modbuss"; did you mean "crc16_modbus"?',
        "checksum.hex: true or false is expected",
        'checksum.order: no such order "litle"; did you mean "little"?',
        "values[4]: a table is expected, such as { at = 2 }",
        'values[0].type: no such type "int61"; did you mean "int64"?',
        "values[0].scale: a number is expected",
        'values[0].unit: no such unit "kgg"; did you mean "kg"?',
        "values[1].at: a whole number from -4095 to 4095 is expected",
        "values[1].size: a whole number from 1 to 8 is expected",
        'values[1].name: "weight" stands there twice',
        "values[2].name: missing; a text is expected",
        "values[2].bit: a whole number from 0 to 7 is expected",
        "values[2].mask: unknown key; known: at, bit, name, offset, scale, type, unit",
        "values[3].mask: a whole number from 1 to 255 is expected",
        "timezone: 'Mars' is no known time zone; one is 'Europe/Berlin'",
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "values: give either values or a pattern"),
        ({"values": BYTE, "pattern": "(?P<x>a)"}, "values: give either values or a pattern"),
        ({"values": []}, "values: a list of 1 to 256 tables is expected"),
        ({"values": BYTE, "units": {}}, "units: is for a pattern: each of the values has its own"),
        ({"pattern": "a"}, "pattern: has no named group"),
        ({"pattern": "(a"}, "pattern: at character 2: a ( without its )"),
        ({"pattern": 5}, "pattern: a text is expected"),
        ({"pattern": "(?P<a>b)", "units": {"b": "kg"}}, "units.b: unknown key"),
        ({"pattern": "(?P<a>b)", "units": {"a": "kgg"}}, 'units.a: no such unit "kgg"'),
        ({"values": BYTE, "start": "AA"}, "start: needs end or length"),
        ({"values": BYTE, "length": 9}, "length: needs start or checksum"),
        ({"values": BYTE, "start": "AA", "length": 0}, "length: a whole number from 1 to 4096"),
        ({"values": BYTE, "trailer": 1}, "trailer: counts the bytes behind end"),
        ({"values": BYTE, "framing": "slipp"}, 'framing: no such framing "slipp"; did you mean'),
        ({"values": BYTE, "framing": "slip", "end": "03"}, "end: is for frames with marks"),
        ({"values": BYTE, "framing": "hdlc", "start": "7E"}, "start: is for frames with marks"),
        ({"values": BYTE, "framing": "cobs", "trailer": 1}, "trailer: is for frames with marks"),
        ({"values": BYTE, "checksum": "crc8"}, "checksum: a table is expected"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: Options, words: str) -> None:
    first, *_ = problems(**options)
    assert first.startswith(words)


@pytest.mark.parametrize("key", sorted(DEVICE.options))
@pytest.mark.parametrize(
    "wrong", [None, True, -1, 1.5, "", "\x00", "é", [], {}, [[]], [{}], [5], {"at": {}}, {"": 1}]
)
def test_no_value_of_an_option_is_a_surprise(key: str, wrong: object) -> None:
    """Whatever stands in the file: words for the operator, and no other exception."""
    for options in ({"values": BYTE}, {"pattern": "(?P<a>b)"}):
        problems(**{**options, key: wrong})


# --------------------------------------------------------------------------------- simulators


@pytest.mark.parametrize("variant", OPTIONS)
def test_what_the_simulator_measures_arrives(variant: str) -> None:
    factors = {"weight": 0.01}
    device = make("shop", partial(World(1).value, "shop"), variant)
    items = [item for number in range(50) for item in device.emit(number, 60.0 * number)]
    stream = b"\n" + b"".join(item.data for item in items)
    found = readings_of(DEVICE, [stream], Vector(b"", (), tomllib.loads(OPTIONS[variant])))
    assert len(found) == len(items)
    for reading, item in zip(found, items, strict=True):
        sent = {name: number * factors.get(name, 1) for name, number in item.values.items()}
        assert reading.values == pytest.approx(sent)


# -------------------------------------------------------------------------------------- page

PAGE = (Path(__file__).parents[2] / "docs" / "devices" / "frames.md").read_text()


def test_the_page_is_true() -> None:
    scale, board = [
        tomllib.loads(text)["serial"][0]
        for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    ]
    shown = re.search(r"```text\n([0-9A-F ]+?) +-> .*weight=([\d.]+),battery=(\d+)", PAGE)
    assert shown is not None
    options = {key: scale[key] for key in scale.keys() & DEVICE.options}
    (reading,) = readings_of(DEVICE, [bytes.fromhex(shown[1])], Vector(b"", (), options))
    assert reading.values == {"weight": float(shown[2]), "battery": int(shown[3]), "stable": True}
    options = {key: board[key] for key in board.keys() & DEVICE.options}
    verdict = decode(b"T=21.53 C, H=45.2 %", options)
    assert isinstance(verdict, Decoded)
    assert verdict.readings[0].values == {"temperature": 21.53, "humidity": 45.2}


def test_every_option_type_and_checksum_stands_on_the_page() -> None:
    words = {*DEVICE.options, *CHECKSUMS, "int8", "int16", "int24", "int32", "int64", "uint8"}
    words |= {
        "uint64",
        "float32",
        "float64",
        "bcd",
        "bit",
        "text",
        "scale",
        "offset",
        "mask",
        "hex",
    }
    text = re.sub(r"[^\w]+", " ", PAGE).split()
    assert words <= {*text}
    assert f"{FRAME_MAX:,} bytes" in PAGE


@pytest.mark.parametrize("scale", [5e-324, 1e-320, -1e-310, 1e308])
def test_no_scale_is_too_small_or_too_large(scale: float) -> None:
    field = {"name": "a", "at": 0, "type": "uint8", "scale": scale}
    assert value(b"\x01", **{k: v for k, v in field.items() if k != "name"}) == scale
