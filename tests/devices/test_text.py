"""Lines of text: every form boards print, the prose between them, and lines that were cut."""

import pytest

from gateway.conformance import ARRIVAL_NS
from gateway.devices.text import DEVICE
from gateway.errors import ConfigError
from gateway.framing.delimited import LINE_MAX
from gateway.model import (
    Decoded,
    Decoder,
    Frame,
    Ignored,
    Learned,
    Malformed,
    Reading,
    Reason,
    Value,
    Verdict,
)

NAN = float("nan")


def line(decoder: Decoder, text: str | bytes, *, first: bool = False, topic: str = "") -> Verdict:
    data = text.encode() if isinstance(text, str) else text
    return decoder.decode(Frame(data, 0, topic, first=first))


def values(verdict: Verdict) -> dict[str, Value]:
    assert isinstance(verdict, Decoded), verdict
    (reading,) = verdict.readings
    return dict(reading.values)


def read(*lines: str | bytes, **options: object) -> dict[str, Value]:
    """What the last line says after those before it."""
    decoder = DEVICE.decoder(**options)
    return values([line(decoder, text) for text in lines][-1])


def refusal(verdict: Verdict) -> Reason:
    assert isinstance(verdict, Malformed), verdict
    return verdict.reason


# ------------------------------------------------------------------------------------ pairs


@pytest.mark.parametrize(
    "text",
    [
        *("temp=21.5 hum=45", "temp=21.5,hum=45", "temp=21.5; hum=45", "temp=21.5\thum=45"),
        *(
            "temp = 21.5 , hum = 45",
            "temp:21.5,hum:45",
            "temp: 21.5 hum: 45",
            "temp: 21.5\thum: 45",
        ),
        *(
            "temp : 21.5 ; hum : 45;",
            "temp=21,5;hum=45",
            "temp=21,5 hum=45,0",
            "temp: 21,5\thum:45",
        ),
    ],
)
def test_pairs_between_whatever_separators(text: str) -> None:
    assert read(text) == {"temp": 21.5, "hum": 45.0}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("temp=21.5C hum=45%", {"temp": "21.5 C", "hum": "45 %"}),
        ("CO2: 412 ppm, Temp: 21.5 C", {"CO2": "412 ppm", "Temp": "21.5 C"}),
        ("Wind: 3.2 m/s Gust: 5 m/s", {"Wind": "3.2 m/s", "Gust": "5 m/s"}),
        ("V: 230.1 V I: 0.5 A P: 115 W", {"V": "230.1 V", "I": "0.5 A", "P": "115 W"}),
        ("Temp: 21.5 Heat index: 22", {"Temp": 21.5, "Heat index": 22.0}),
        ("temp=21,5 °C", {"temp": "21.5 °C"}),
        (
            "Humidity: 45.20%  Temperature: 21.50°C 70.70°F  Heat index: 21.10°C 69.99°F",
            {"Humidity": "45.20 %", "Temperature": "21.50 °C", "Heat index": "21.10 °C"},
        ),
        ("Temperature: 21.50 *C 70.70 *F\t", {"Temperature": "21.50 °C"}),
    ],
)
def test_a_number_keeps_its_unit(text: str, expected: dict[str, Value]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("temp=nan hum=45", {"temp": NAN, "hum": 45.0}),
        ("temp=-inf hum=1e400", {"temp": -float("inf"), "hum": float("inf")}),
        ("temp=ovf hum=0", {"temp": float("inf"), "hum": 0.0}),
        ("temp=,hum=45", {"temp": "", "hum": 45.0}),
        ("pump=on temp=21.5", {"pump": "on", "temp": 21.5}),
        ("pump: off, temp: 21.5", {"pump": "off", "temp": 21.5}),
        ('name="hen house" temp=0', {"name": "hen house", "temp": 0.0}),
        ("PM2.5=12,temp-1=3,t_2=4", {"PM2.5": 12.0, "temp-1": 3.0, "t_2": 4.0}),
        ("fw=1_2", {"fw": "1_2"}),
        ("t=1 t=2", {"t": 2.0}),
    ],
)
def test_words_and_numbers_that_are_none_stay_with_their_names(
    text: str, expected: dict[str, Value]
) -> None:
    assert repr(read(text)) == repr(expected)


def test_the_unit_in_a_name_is_stated_apart() -> None:
    verdict = line(DEVICE.decoder(), "temp (C)=21.5 hum[%]=45 wind (mast)=3")
    assert isinstance(verdict, Decoded)
    (reading,) = verdict.readings
    assert dict(reading.values) == {"temp": 21.5, "hum": 45.0, "wind (mast)": 3.0}
    assert dict(reading.units) == {"temp": "C", "hum": "%"}


def test_the_times_of_pairs_are_times() -> None:
    verdict = line(DEVICE.decoder(), "time=2024-05-01T10:00:00Z temp=21.5")
    assert verdict == Decoded([Reading({"temp": 21.5}, {}, observed_at_ns=ARRIVAL_NS)])


# -------------------------------------------------------------------------------------- CSV


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("temp,hum", "21.5,45"),
        ("temp;hum", "21,5;45"),
        ("temp\thum", "21,5\t45"),
        ("temp hum", "21.5  45"),
        ("temp hum", "21,5 45,0"),
        ('"temp","hum"', "21.5,45"),
        ("temp,hum,", "21.5,45,"),
        ("temp, hum", " 21.5, 45"),
    ],
)
def test_a_header_names_the_rows(header: str, row: str) -> None:
    assert read(header, row) == {"temp": 21.5, "hum": 45.0}


def test_units_stand_in_the_header_or_behind_the_numbers() -> None:
    decoder = DEVICE.decoder()
    assert line(decoder, "temp [°C],pressure (hPa)") == Learned()
    verdict = line(decoder, "21.5,1013.2 mbar")
    assert isinstance(verdict, Decoded)
    assert dict(verdict.readings[0].values) == {"temp": 21.5, "pressure": "1013.2 mbar"}
    assert dict(verdict.readings[0].units) == {"temp": "°C", "pressure": "hPa"}


def test_a_header_may_repeat_and_change() -> None:
    decoder = DEVICE.decoder()
    assert line(decoder, "temp,hum") == line(decoder, "temp,hum") == Learned()
    assert values(line(decoder, "1,2")) == {"temp": 1.0, "hum": 2.0}
    assert line(decoder, "temp,hum,co2") == Learned()
    assert values(line(decoder, "1,2,3")) == {"temp": 1.0, "hum": 2.0, "co2": 3.0}
    assert refusal(line(decoder, "1,2")) is Reason.COLUMNS


def test_names_that_no_dictionary_knows_are_names_too() -> None:
    assert read("ax,ay,az,az", "1,2,3,4") == {"ax": 1.0, "ay": 2.0, "az": 3.0, "az.4": 4.0}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("nan,45", {"temp": NAN, "hum": 45.0}),
        ("nan,nan", {"temp": NAN, "hum": NAN}),
        (",45", {"temp": "", "hum": 45.0}),
        ("0,off", {"temp": 0.0, "hum": "off"}),
        ("door 1,45", {"temp": "door 1", "hum": 45.0}),
        ("unknown,unknown", {"temp": "unknown", "hum": "unknown"}),
    ],
)
def test_a_bad_cell_costs_itself(row: str, expected: dict[str, Value]) -> None:
    assert repr(read("temp,hum", row)) == repr(expected)


@pytest.mark.parametrize("row", ["21.5,45,1", "1,2,3,4", "21.5 45 1"])
def test_a_row_of_another_length_is_not_guessed_at(row: str) -> None:
    assert refusal(line(DEVICE.decoder(columns=["a", "b"]), row)) is Reason.COLUMNS


def test_configured_columns_name_the_rows_of_a_csv_without_header() -> None:
    columns = ["temp (°C)", "", "hum"]
    for row in ("21.5,x,45", "21,5;0;45", "21.5\t0\t45", "21.5 0 45"):
        assert read(row, columns=columns) == {"temp": 21.5, "hum": 45.0}
    decoder = DEVICE.decoder(columns=columns)
    assert line(decoder, "a,b,c") == Learned()
    assert values(line(decoder, "1,2,3")) == {"temp": 1.0, "hum": 3.0}
    assert read("21.5", columns=["temp"]) == {"temp": 21.5}
    assert read("21,5", columns=["temp"]) == {"temp": 21.5}


def test_a_csv_of_unknown_columns_says_so() -> None:
    for text in ("21.5,45", "21,5", "1;2;3", "21.5 45"):
        assert refusal(line(DEVICE.decoder(), text)) is Reason.COLUMNS


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ("temp,hum", "columns: a list of names is expected, not 'temp,hum'"),
        ([1], "columns: a list of names is expected"),
        (["a", "a"], "columns: 'a' stands there twice"),
        (["a", "0x1"], "columns: '0x1' is no name"),
        (["", ""], "columns: no name is left"),
    ],
)
def test_wrong_columns_are_a_sentence_for_the_operator(columns: object, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        DEVICE.decoder(columns=columns)


# ------------------------------------------------------------------------- numbers and prose


@pytest.mark.parametrize(
    ("text", "value"), [("21.5", 21.5), ("-0", 0.0), ("+3e2", 300.0), ("21.5°C", "21.5 °C")]
)
def test_a_single_number_is_the_value(text: str, value: Value) -> None:
    assert read(text) == {"value": value}


BOOT_MESSAGES = """\
ets Jan  8 2013,rst cause:2, boot mode:(3,6)
load 0x4010f000, len 3460, room 16
tail 4
chksum 0xcc
v00041823
~ld
ets Jul 29 2019 12:21:46
rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)
configsip: 0, SPIWP:0xee
clk_drv:0x00,q_drv:0x00,d_drv:0x00,cs0_drv:0x00,hd_drv:0x00,wp_drv:0x00
mode:DIO, clock div:1
load:0x3fff0030,len:1184
entry 0x400805e4
I (315) wifi: wifi driver task: 3ffc0, prio:23, stack:6656, core=0
Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.
PC      : 0x400d1234  PS      : 0x00060030  A0      : 0x800d  A1      : 0x3ffb
Backtrace: 0x400d1234:0x3ffb1f50 0x400d1300:0x3ffb1f70
WiFi connected
IP address: 192.168.1.50
MAC: 5C:CF:7F:00:01:02
Version: 1.2.3
Time: 12:30:01
Connected! RSSI: -67
Sensor ready, waiting
DHT11 test!
Failed to read from DHT sensor!
[INFO] temp=21
a=1=2
=5
21.5 apples
"""


@pytest.mark.parametrize("text", BOOT_MESSAGES.splitlines())
def test_boot_messages_and_prose_never_become_readings(text: str) -> None:
    for before in ([], ["temp hum"], ["temp,hum"], ["temp,hum,co2"]):
        decoder = DEVICE.decoder()
        for header in before:
            assert line(decoder, header) == Learned()
        assert refusal(line(decoder, text)) in (Reason.SYNTAX, Reason.COLUMNS)


def test_prose_between_the_rows_does_not_rename_them() -> None:
    decoder = DEVICE.decoder()
    for text in ("temp,hum", "Hello, world", "ok,fine"):
        line(decoder, text)
    assert values(line(decoder, "1,2")) == {"temp": 1.0, "hum": 2.0}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY),
        (b" \r", Reason.EMPTY),
        (b"a=\x00\xff", Reason.NOT_TEXT),
        (b"a=" + b"1" * LINE_MAX, Reason.TOO_LARGE),
        (b'{"a":1', Reason.SYNTAX),
        (b"[" * 100 + b"]" * 100, Reason.TOO_DEEP),
    ],
)
def test_what_is_no_line_is_refused(data: bytes, reason: Reason) -> None:
    assert refusal(line(DEVICE.decoder(), data)) is reason


def test_a_message_has_no_first_line_and_teaches_no_header() -> None:
    decoder = DEVICE.decoder()
    assert values(line(decoder, "temp=1\nhum=2\n", topic="a/b")) == {"temp": 1.0, "hum": 2.0}
    assert refusal(line(decoder, "temp,hum", topic="a/b")) is Reason.SYNTAX


# ------------------------------------------------------------------------------- first lines


@pytest.mark.parametrize(
    "text", ["p=21.5 hum=45", "1.5", "5,45", "1.5,45", "ello", "t:1,h:2", "C),hum"]
)
def test_a_first_line_that_may_be_cut_is_ignored(text: str) -> None:
    decoder = DEVICE.decoder(columns=["temp", "hum"])
    assert line(decoder, text, first=True) == Ignored(Reason.FIRST_LINE)


def test_a_first_line_of_json_proves_itself() -> None:
    decoder = DEVICE.decoder()
    assert values(line(decoder, '{"t":1}', first=True)) == {"t": 1}
    assert line(decoder, '{"t":1', first=True) == Ignored(Reason.FIRST_LINE)
    assert line(decoder, '"t":1}', first=True) == Ignored(Reason.FIRST_LINE)


def test_a_header_as_first_line_is_believed_and_another_board_may_follow() -> None:
    decoder = DEVICE.decoder()
    assert line(decoder, "temp,hum", first=True) == Learned()
    assert values(line(decoder, "1,2")) == {"temp": 1.0, "hum": 2.0}
    assert line(decoder, "x7", first=True) == Ignored(Reason.FIRST_LINE)
    assert line(decoder, "ax,ay") == Learned()
    assert values(line(decoder, "1,2")) == {"ax": 1.0, "ay": 2.0}
