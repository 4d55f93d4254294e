"""A device that publishes one JSON object with all its values on one topic.

Flat: `{"temperature":21.53,"humidity":45}`. Nested: a name with dots becomes objects within
objects, and names without dots stay together under `sensor`, while the counter stays on top:
`{"sequence":7,"sensor":{"temperature":21.53},"device":{"battery":98}}`.
"""

from simulators.devices import Item, Senses, Values, to_json

INNER = "sensor"


class JsonDevice:
    """A device with one topic and one object per reading."""

    def __init__(self, name: str, senses: Senses, topic: str, *, nested: bool = False) -> None:
        """Publish on a topic whose placeholders are filled already."""
        self.name = name
        self._senses = senses
        self._topic = topic
        self._nested = nested

    def reset(self) -> None:
        """Start again; nothing is remembered."""

    def emit(self, sequence: int, t: float) -> list[Item]:
        """Return the one message of a reading."""
        values = self._senses.values(sequence, t)
        content = nest(values) if self._nested else values
        return [Item(self._topic, to_json(content).encode(), values)]

    def messages(self, t: float, sequence: int = 1) -> list[tuple[str, bytes]]:
        """Return topic and payload of what is published at one instant."""
        return [(item.topic, item.data) for item in self.emit(sequence, t)]


def nest(values: Values) -> dict[str, object]:
    """Return the values as objects within objects, along the dots of their names."""
    top: dict[str, object] = {}
    for name, value in values.items():
        if name == "sequence":
            top[name] = value
            continue
        *outer, last = name.split(".") if "." in name else (INNER, name)
        level = top
        for key in outer:
            below = level.setdefault(key, {})
            if not isinstance(below, dict):
                msg = f"{name!r} lies within {key!r}, which is a value"
                raise ValueError(msg)  # noqa: TRY004 - the name is wrong, not a type
            level = below
        level[last] = value
    return top
