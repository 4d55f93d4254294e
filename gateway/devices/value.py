"""One value per MQTT topic: a number, a number with its unit, a word such as `on`, or text.

The field's name is, in this order: the option `field`; what `{field}` in the topic pattern matched
(the pipeline makes a tag of every other placeholder, not of this one); the topic's last level where
the dictionary of quantities knows it; `value`. Words and units are the normalizer's business.

Limits: VALUE_MAX bytes; an object or array is no value (the decoder `json` reads those). An empty
payload is malformed: with the retain flag it deletes what the broker keeps, and says nothing.
"""

from typing import Final

from gateway.errors import ConfigError
from gateway.ledger import EXAMPLE_BYTES
from gateway.model import NOTHING, Decoded, Device, Frame, Malformed, Reading, Reason, Verdict
from gateway.payloads import to_text
from gateway.quantities import find_quantity, find_unit

VALUE_MAX: Final = 4096
TOPICS_KEPT: Final = 10_000
"""Names are looked up once per topic; a flood of topics only costs the look-ups again."""

_PADDING: Final = " \t\r\n\0"


class ValueDecoder:
    def __init__(self, *, field: str = "", unit: str = "") -> None:
        if unit and find_unit(unit) is None:
            raise ConfigError(["unit: no such unit"])
        self._field = field
        self._unit = unit
        self._names: dict[str, str] = {}

    def decode(self, frame: Frame) -> Verdict:
        data = frame.data
        if len(data) > VALUE_MAX:
            return Malformed(Reason.TOO_LARGE, data[:EXAMPLE_BYTES])
        text = to_text(data.rstrip(b"\0"))
        if text is None:
            return Malformed(Reason.NOT_TEXT, data[:EXAMPLE_BYTES])
        text = text.strip(_PADDING)
        if not text:
            return Malformed(Reason.EMPTY)
        if text[0] in "{[":
            return Malformed(Reason.SYNTAX, data[:EXAMPLE_BYTES])
        name = self._field or frame.captures.get("field") or self._name(frame.topic)
        units = {name: self._unit} if self._unit else NOTHING
        return Decoded([Reading({name: _number(text)}, units)])

    def _name(self, topic: str) -> str:
        """The topic's last level where it is a quantity."""
        name = self._names.get(topic)
        if name is None:
            if len(self._names) >= TOPICS_KEPT:
                self._names.clear()
            level = topic.rpartition("/")[2]
            name = level if find_quantity(level) is not None else "value"
            self._names[topic] = name
        return name


def _number(text: str) -> float | str:
    """The number that the text is, else the text."""
    try:
        return float(text) if "_" not in text else text
    except ValueError:
        return text.strip('"')


DEVICE = Device(
    name="value",
    summary="one number, state or text per MQTT topic",
    decoder=ValueDecoder,
    options=frozenset({"field", "unit"}),
)
