"""Lines say what was observed, whatever the names and texts, and every InfluxDB takes them."""

import math
import random

import pytest

from gateway.model import FieldValue, Observation, Series, TimeSource
from gateway.sinks.line_protocol import (
    NAME_CHARS_MAX,
    TAG_CHARS_MAX,
    encode,
    flaw,
    make_series,
)
from gateway.times import SINCE_BOOT_MAX_NS
from simulators.line_protocol import LineError, parse

VERSIONS = [1, 2, 3]

NASTY = [
    "plain",
    "two words",
    "a,b=c d",
    '"quoted"',
    "back\\slash",
    "ends with \\",
    "\\\\",
    "#no comment",
    "_internal",
    "time",
    "line\nbreak\r\n",
    "tab\tnul\x00del\x7fc1\x9f",
    "µ° €  🌡",
    "\ud800 alone",
    "%s %d %%",
    " spaces around ",
    "=,=,",
    "",
    "=" * 10_000,
]


def observation(series: Series, fields: dict[str, FieldValue], time_ns: int = 1) -> Observation:
    return Observation(series, fields, time_ns, time_ns, TimeSource.ARRIVAL)


def line(series: Series, fields: dict[str, FieldValue]) -> str:
    encoded = encode(observation(series, fields, 1_720_000_000_123_456_789))
    assert b"\n" not in encoded
    return encoded.decode()


def test_a_reading_becomes_one_line_with_sorted_tags_and_floats() -> None:
    series = make_series("sensor", {"location": "roof", "device": "mast"})
    assert line(series, {"temperature": 21.0, "humidity": 40.25, "state": "on"}) == (
        "sensor,device=mast,location=roof"
        ' temperature=21.0,humidity=40.25,state="on" 1720000000123456789'
    )


def test_tags_are_part_of_the_series_in_one_order() -> None:
    assert make_series("m", {"b": "2", "a": "1"}) == make_series("m", {"a": "1", "b": "2"})
    assert make_series("m", {"b": "2", "a": "1"}).tags == (("a", "1"), ("b", "2"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("text", NASTY)
def test_every_name_and_value_is_taken_by_every_version(text: str, version: int) -> None:
    series = make_series(text, {text: "v", "device": text})
    cases: list[dict[str, FieldValue]] = [{text: 1.5}, {"t": text}, {"t": text, text: -0.0}]
    for fields in cases:
        point = parse(line(series, fields), 1, version)
        assert point.measurement == series.measurement
        assert point.tags == dict(series.tags)
        assert point.time_ns == 1_720_000_000_123_456_789


@pytest.mark.parametrize("text", [t for t in NASTY if t.isprintable()])
def test_text_without_control_characters_arrives_as_it_is(text: str) -> None:
    point = parse(line(make_series("m", {}), {"text": text}), 1, 3)
    assert point.fields == {"text": text}


@pytest.mark.parametrize(
    "value", [0.0, -0.0, 1e-300, 1.7976931348623157e308, 0.1 + 0.2, 1e16, -40.0, 5e-324]
)
def test_numbers_arrive_exactly_and_as_floats(value: float) -> None:
    arrived = parse(line(make_series("m", {}), {"f": value}), 1, 3).fields["f"]
    assert isinstance(arrived, float)
    assert (arrived, math.copysign(1, arrived)) == (value, math.copysign(1, value))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_never_reaches_the_line(bad: float) -> None:
    series = make_series("m", {})
    assert line(series, {"a": 1.0, "b": bad}).startswith("m a=1.0 ")
    assert line(series, {"a": 1e308, "b": 1e308}).startswith("m a=1e+308,b=1e+308 ")


def test_a_tag_without_a_value_is_left_out() -> None:
    assert make_series("m", {"a": "", "b": "\n", "c": "0"}).tags == (("c", "0"),)


def test_names_that_become_equal_stay_apart() -> None:
    series = make_series("m", {"_id": "1", "id": "2", "id_": "3", "time": "4"})
    assert series.tags == (("id", "2"), ("id_", "1"), ("id__", "3"), ("time_", "4"))


def test_a_field_named_like_a_tag_gets_another_name() -> None:
    series = make_series("m", {"channel": "3"})
    assert parse(line(series, {"channel": 3.0, "v": 1.0}), 1, 3).fields == {
        "channel_value": 3.0,
        "v": 1.0,
    }


def test_overlong_names_and_values_are_cut_and_stay_apart() -> None:
    one, other = (make_series("m" * 999 + end, {"t": "v" * 9999 + end}) for end in "ab")
    assert one.measurement != other.measurement
    assert one.tags != other.tags
    assert len(one.measurement) == NAME_CHARS_MAX
    assert len(one.tags[0][1]) == TAG_CHARS_MAX


@pytest.mark.parametrize("version", VERSIONS)
def test_random_text_from_the_wire_is_always_one_good_line(version: int) -> None:
    rng = random.Random(4711)
    alphabet = 'ab ,=\\"\n\r\t#_%é\x00\ud83d'
    for _ in range(2000):
        texts = ["".join(rng.choices(alphabet, k=rng.randrange(8))) for _ in range(5)]
        series = make_series(texts[0], {texts[1]: texts[2], "device": texts[3]})
        point = parse(line(series, {"f": 1.0, "text": texts[4]}), 1, version)
        assert point.fields["f"] == 1.0
        assert (point.measurement, point.tags) == (series.measurement, dict(series.tags))


@pytest.mark.parametrize("text", NASTY)
def test_nothing_is_wrong_with_the_lines_that_the_gateway_makes(text: str) -> None:
    made = line(make_series(text, {text: "v", "device": text}), {"t": text, "f": -1.5e-300})
    assert flaw(made.encode()) == ""


@pytest.mark.parametrize(
    "good",
    [
        "m f=1 {}",
        "m,a=b,c=d f=1i,h=true,i=F {}",
        r"m\ m,a\ a=b\=b f\,f=1.5e+3 {}",
        r'm f="a \"quoted\" text, with = and \\ in it" {}',
        "m=1 f=-0.0 {}",
        "température,gerät=a° µ=1 {}",
    ],
)
def test_a_good_line_that_a_person_wrote(good: str) -> None:
    for time_ns in (SINCE_BOOT_MAX_NS, 1_720_000_000_123_456_789, 2**63 - 2):
        assert flaw(good.format(time_ns).encode()) == ""
        assert parse(good.format(time_ns), 1, 2)


def test_an_unsigned_integer_is_left_to_the_server() -> None:
    """Version 1 refuses it, the later ones take it."""
    assert flaw(b"m f=18446744073709551615u 1720000000000000000") == ""


BAD = [
    (b"", "measurement"),
    (b"m", "no fields"),
    (b"m f=1", "no time"),
    (b"m f=1 ", "no time"),
    (b"m  f=1 {}", "no fields"),
    (b"m f=1  {}", "in a time"),
    (b"# m f=1 {}", "no fields"),
    (b"#m f=1 {}", "neither a letter"),
    (b"m,_a=1 f=1 {}", "neither a letter"),
    (b"m _f=1 {}", "neither a letter"),
    (b",a=b f=1 {}", "measurement"),
    (b" f=1 {}", "measurement"),
    (b"m,a f=1 {}", "measurement"),
    (b"m,a= f=1 {}", "measurement"),
    (b"m,=b f=1 {}", "measurement"),
    (b"m,a=b, f=1 {}", "measurement"),
    (b"m,a=b\\ f=1 {}", "measurement"),
    (b"m\\x f=1 {}", "measurement"),
    (b"m f= {}", "no fields"),
    (b"m f {}", "no fields"),
    (b"m =1 {}", "no fields"),
    (b"m f=1, {}", "no fields"),
    (b"m f=1,,g=2 {}", "no fields"),
    (b"m f=nan {}", "no fields"),
    (b"m f=+1 {}", "no fields"),
    (b"m f=0x1 {}", "no fields"),
    (b"m f=1.5i {}", "no fields"),
    (b"m f=-1u {}", "no fields"),
    (b"m f=yes {}", "no fields"),
    (b'm f="open {}', "no fields"),
    (b'm f="a"b {}', "no fields"),
    (b'm f="a\\n" {}', "no fields"),
    (b"m f=\xd9\xa1 {}", "no fields"),
    (b"m f=1e400 {}", "too large"),
    (b"m f=9223372036854775808i {}", "too large"),
    (b"m f=" + b"9" * 5000 + b"i {}", "too large"),
    (b"m f=18446744073709551616u {}", "too large"),
    (b"m,a=b,a=c f=1 {}", "the name a twice"),
    (b"m f=1,f=2 {}", "the name f twice"),
    (b"m,a=b a=1 {}", "the name a twice"),
    (b"m time=1 {}", "reserved"),
    (b"m,time=1 f=1 {}", "reserved"),
    (b"m f=1 {}.5", "in a time"),
    (b"m f=1 {} 2", "in a time"),
    (b"m f=1 soon", "in a time"),
    (b"m f=1 99999999999999999999", "in a time"),
    (b"m f=1 9223372036854775807", "in a time"),
    (b"m f=1 -1", "before the year 2000"),
    (b"m f=1 83000000000", "before the year 2000"),
    (b"m f=1 {}\nm f=2 {}", "control character"),
    (b"m f=1 {}\r", "control character"),
    (b'm f="a\tb" {}', "control character"),
    (b'm f="\xff" {}', "not UTF-8"),
]


@pytest.mark.parametrize(("bad", "words"), BAD)
def test_a_bad_line_is_refused_with_words(bad: bytes, words: str) -> None:
    assert words in flaw(bad.replace(b"{}", b"1720000000000000000"))


def test_what_has_no_flaw_is_taken_by_a_reader_written_from_the_format() -> None:
    rng = random.Random(4712)
    alphabet = 'a1,= \\"#.ie-+t\t'
    good = 0
    for _ in range(20_000):
        middle = "".join(rng.choices(alphabet, k=rng.randrange(6)))
        made = (
            f"m{middle} f=1{''.join(rng.choices(alphabet, k=rng.randrange(3)))} {SINCE_BOOT_MAX_NS}"
        )
        if flaw(made.encode()):
            continue
        good += 1
        try:
            parse(made, 1, 3)
        except LineError as error:
            pytest.fail(f"{made!r}: {error}")
    assert good > 1000


def test_a_long_line_is_looked_at_in_linear_time() -> None:
    for part in ("a=", "a=1,", "\\", "\\ ", '"', ',a="'):
        assert flaw(f"m {part * 200_000} {SINCE_BOOT_MAX_NS}".encode())
