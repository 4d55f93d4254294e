"""A device that publishes each value on a topic of its own, as bare text.

A number is `21.53`, with a unit `21.53 °C`, a switch `on` or `off`, the counter a whole number. One
emission is one message per field, and each message is a reading of its own.
"""

from simulators.devices import Item, Senses, fill


class ValueDevice:
    """A device with one topic per field."""

    def __init__(self, name: str, senses: Senses, topic: str) -> None:
        """Publish on a topic with `{field}` still to be filled."""
        self.name = name
        self._senses = senses
        self._topic = topic
        self._units = {each.name: each.unit for each in senses.quantities}

    def reset(self) -> None:
        """Start again; nothing is remembered."""

    def emit(self, sequence: int, t: float) -> list[Item]:
        """Return one message per field."""
        return [
            Item(
                fill(self._topic, {"field": name}),
                payload(value, self._units.get(name, "")),
                {name: value},
            )
            for name, value in self._senses.values(sequence, t).items()
        ]

    def messages(self, t: float, sequence: int = 1) -> list[tuple[str, bytes]]:
        """Return topic and payload of what is published at one instant."""
        return [(item.topic, item.data) for item in self.emit(sequence, t)]


def payload(value: float, unit: str = "") -> bytes:
    """Return a value as bare text."""
    if isinstance(value, bool):
        return b"on" if value else b"off"
    return f"{value} {unit}".encode() if unit else str(value).encode()
