"""One value per topic: what it is and what it is called."""

import pytest

from gateway.devices.value import DEVICE, TOPICS_KEPT, ValueDecoder
from gateway.errors import ConfigError
from gateway.model import Decoded, Frame, Malformed, Reading, Reason, Value

TOPIC = "home/kitchen/temperature"


def read(data: bytes, topic: str = TOPIC, field: str = "", **options: str) -> Reading:
    captures = {"field": field} if field else {}
    verdict = DEVICE.decoder(**options).decode(Frame(data, 0, topic, captures))
    assert isinstance(verdict, Decoded)
    (reading,) = verdict.readings
    return reading


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"21.5", 21.5),
        (b" -3\r\n", -3.0),
        (b"0", 0.0),
        (b"1e400", float("inf")),
        (b"on", "on"),
        (b"false", "false"),
        (b"open", "open"),
        (b"21.5 \xb0C", "21.5 °C"),
        (b'"idle"', "idle"),
        (b"1_000", "1_000"),
        (b"online\0", "online"),
    ],
)
def test_a_number_is_a_number_and_all_else_is_kept_as_it_is(data: bytes, value: Value) -> None:
    assert dict(read(data).values) == {"temperature": value}


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        (TOPIC, "temperature"),
        ("shellies/em/emeter/0/power", "power"),
        ("home/kitchen", "value"),
        ("humidity", "humidity"),
        ("humidity/", "value"),
        ("", "value"),
    ],
)
def test_the_topic_names_the_value_where_the_dictionary_knows_its_end(
    topic: str, name: str
) -> None:
    assert list(read(b"1", topic).values) == [name]


def test_the_option_comes_before_the_placeholder_and_that_before_the_topic() -> None:
    assert list(read(b"1", field="pressure").values) == ["pressure"]
    verdict = DEVICE.decoder(field="power", unit="kW").decode(
        Frame(b"1", 0, TOPIC, {"field": "pressure"})
    )
    assert verdict == Decoded([Reading({"power": 1.0}, {"power": "kW"})])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY),
        (b" \n", Reason.EMPTY),
        (b"\0\0", Reason.EMPTY),
        (b'{"t":1}', Reason.SYNTAX),
        (b"[1]", Reason.SYNTAX),
        (b"\x89PNG\r\n\x1a\n", Reason.NOT_TEXT),
        (b"x" * 5_000, Reason.TOO_LARGE),
    ],
)
def test_what_is_no_value_is_refused(data: bytes, reason: Reason) -> None:
    verdict = DEVICE.decoder().decode(Frame(data, 0, TOPIC))
    assert isinstance(verdict, Malformed)
    assert verdict.reason is reason


def test_a_flood_of_topics_takes_no_memory() -> None:
    decoder = ValueDecoder()
    for number in range(TOPICS_KEPT + 10):
        decoder.decode(Frame(b"1", 0, f"t/{number}/power"))
    assert len(decoder._names) <= TOPICS_KEPT


def test_a_unit_that_nobody_knows_is_a_mistake_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match="unit"):
        ValueDecoder(unit="Grad")
