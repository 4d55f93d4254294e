"""What one product says: quantities in, bytes out, no input or output.

A device is anything with the three members of `Device`. It is asked for one emission at a time and
answers with the items that belong to it: lines for a serial device, one payload per topic for an
MQTT device. An item without values carries no reading (a CSV header). Numbers in `Item.values` are
exactly those on the wire, under the product's own names.

Some products speak only when asked (`Responder`): bytes in, answers out, each after a delay.

A new product is one file here, written from its description, with a function `make` that returns
one device; a scenario names the file (`device = "dsmr"`).
"""

import importlib
import json
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import NamedTuple, Protocol, runtime_checkable

Values = dict[str, float | int | bool]

to_json = json.JSONEncoder(separators=(",", ":")).encode
"""A value as JSON without blanks; one encoder for all, since making one costs more than its use."""


NOTHING: Mapping[str, float] = MappingProxyType({})


class Item(NamedTuple):
    """One line or one message, and the numbers in it."""

    topic: str
    data: bytes
    values: Values


Measure = Callable[[str, float], float]
"""The value of a quantity of `simulators.world` at an instant, where the device stands."""


class Device(Protocol):
    """A product as the script sees it."""

    @property
    def name(self) -> str:
        """The name that is unique within the scenario."""

    def emit(self, sequence: int, t: float) -> list[Item]:
        """Return the items of emission number `sequence`, `t` seconds after the start."""

    def reset(self) -> None:
        """Start again, as after a loss of power."""


class Reply(NamedTuple):
    """An answer on its way: when its first byte leaves, and the numbers in it."""

    data: bytes
    delay_s: float = 0.0
    values: Mapping[str, float] = NOTHING
    device: str = ""
    """Who says it, where several share the line."""


@runtime_checkable
class Responder(Protocol):
    """A product that speaks only when asked."""

    @property
    def name(self) -> str:
        """The name that is unique within the scenario."""

    def receive(self, data: bytes, t: float) -> list[Reply]:
        """Take bytes from the line, in pieces of any size, and return the answers to them."""

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

    measure: Measure
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


def even_parity(text: bytes) -> bytes:
    """Return what a line of seven bits and even parity looks like to a reader of eight bits."""
    return bytes(byte | (byte.bit_count() % 2) << 7 for byte in text)


def fill(template: str, names: Mapping[str, str]) -> str:
    """Put names into a topic template with `{location}`, `{device}` and `{field}`."""
    for name, value in names.items():
        template = template.replace("{" + name + "}", value)
    return template


def serial_devices() -> tuple[str, ...]:
    """Return what a serial device of a scenario can be: the files here that can make one."""
    found = (info.name for info in pkgutil.iter_modules(__path__))
    return ("text", *(name for name in found if hasattr(_module(name), "make")))


def make_product(product: str, name: str, measure: Measure, variant: str) -> Device | Responder:
    """Return one of the product; raises ValueError for a variant that it doesn't have."""
    made: Device | Responder = _module(product).make(name, measure, variant)
    return made


def make_device(product: str, name: str, measure: Measure, variant: str) -> Device:
    """Return a device that speaks by itself, likewise."""
    made = make_product(product, name, measure, variant)
    if isinstance(made, Responder):
        msg = f"{product} speaks only when asked"
        raise ValueError(msg)  # noqa: TRY004 - the name is wrong, not its type
    return made


def decoder_options(product: str, variant: str) -> tuple[str, ...]:
    """Return what a gateway must be told of a product that it does not know, as lines of TOML."""
    options: Mapping[str, str] = getattr(_module(product), "OPTIONS", {})
    return tuple(options.get(variant, "").splitlines())


def _module(product: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{product}")
