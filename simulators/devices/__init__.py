"""What one product says: quantities in, bytes out, no input or output.

A device is anything with the three members of `Device`. It is asked for one emission at a time and
answers with the items that belong to it: lines for a serial device, one payload per topic for an
MQTT device. An item without values carries no reading (a CSV header). Numbers in `Item.values` are
exactly those on the wire, under the product's own names.

A new product is one file here, written from its description, and one branch in `simulators.build`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

Values = dict[str, float | int | bool]

to_json = json.JSONEncoder(separators=(",", ":")).encode
"""A value as JSON without blanks; one encoder for all, since making one costs more than its use."""


class Item(NamedTuple):
    """One line or one message, and the numbers in it."""

    topic: str
    data: bytes
    values: Values


class Device(Protocol):
    """A product as the script sees it."""

    @property
    def name(self) -> str:
        """The name that is unique within the scenario."""

    def emit(self, sequence: int, t: float) -> list[Item]:
        """Return the items of emission number `sequence`, `t` seconds after the start."""

    def reset(self) -> None:
        """Start again, as after a loss of power."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity under the product's name; `unit` is appended where the form has room."""

    quantity: str
    name: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Senses:
    """Where a device stands and what it measures there."""

    measure: Callable[[str, float], float]
    quantities: tuple[Quantity, ...]
    sequence: bool = False

    def values(self, sequence: int, t: float) -> Values:
        """Return all values under the product's names, the counter first."""
        values: Values = {"sequence": sequence} if self.sequence else {}
        for each in self.quantities:
            values[each.name] = natural(each.quantity, self.measure(each.quantity, t))
        return values


SWITCHES = frozenset({"occupancy"})


def natural(quantity: str, value: float) -> float | bool:
    """Return a switch as a truth value; whole numbers lose their fraction, as in most firmware."""
    if quantity in SWITCHES:
        return value > 0.0
    return int(value) if value == int(value) else value


def fill(template: str, names: Mapping[str, str]) -> str:
    """Put names into a topic template with `{location}`, `{device}` and `{field}`."""
    for name, value in names.items():
        template = template.replace("{" + name + "}", value)
    return template
