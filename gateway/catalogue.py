"""The type and unit of every field, for the whole gateway.

A field keeps the type that it had first (decision 5), for InfluxDB does: its pin is stored with the
group that brought it. What is new here waits in `fresh_pins` and `fresh_units` for the next commit.

Limit: FIELDS_MAX fields per measurement beside those of the dictionary. It bounds memory; that one
device does not use it up for the others is the normalizer's business.
"""

from gateway.model import Pin
from gateway.quantities import QUANTITIES

FIELDS_MAX = 10_000


class Catalogue:
    """The type and unit of every field, for the whole gateway; what is new waits to be stored."""

    def __init__(self, pins: list[Pin]) -> None:
        self._types = {(pin.measurement, pin.field): pin.is_text for pin in pins}
        self._fields: dict[str, int] = {}
        for pin in pins:
            self._fields[pin.measurement] = self._fields.get(pin.measurement, 0) + 1
        self.units: dict[tuple[str, str], str] = {}
        """The UCUM code of each field that has one, as far as this process has seen it."""
        self.generation = 0
        """Moves when a pin is taken away: plans made before are void."""
        self.fresh_pins: list[Pin] = []
        self.fresh_units: list[tuple[str, str, str]] = []
        """(measurement, field, UCUM code) seen for the first time in this process."""

    def is_text(self, measurement: str, field: str) -> bool | None:
        """The field's type; None where it has none yet."""
        return self._types.get((measurement, field))

    def pin(self, measurement: str, field: str, *, is_text: bool) -> bool:
        """Fix the field's type; False when the measurement has too many fields already."""
        count = self._fields.get(measurement, 0)
        if count >= FIELDS_MAX and field not in QUANTITIES:
            return False
        self._fields[measurement] = count + 1
        self._types[measurement, field] = is_text
        self.fresh_pins.append(Pin(measurement, field, is_text))
        return True

    def unpin(self, measurement: str, field: str) -> bool:
        """Let the field take a new type; False when it has none."""
        if self._types.pop((measurement, field), None) is None:
            return False
        self._fields[measurement] -= 1
        self.fresh_pins = [pin for pin in self.fresh_pins if pin[:2] != (measurement, field)]
        self.generation += 1
        return True

    def publish_unit(self, measurement: str, field: str, code: str) -> None:
        """Have the unit of a field written to the measurement `units`, once per process."""
        if (measurement, field) not in self.units:
            self.units[measurement, field] = code
            self.fresh_units.append((measurement, field, code))

    def pins(self) -> list[Pin]:
        return [Pin(measurement, field, t) for (measurement, field), t in self._types.items()]
