"""A microcontroller that prints lines of text on its serial port.

Six habits of such sketches, all ended by CR LF unless told otherwise:

* `json`        `{"tempC":21.53,"hum":45}`
* `keyvalue`    `tempC=21.53 hum=45`, or with another separator `tempC=21.53,hum=45`
* `colon`       `tempC:21.53,hum:45`, as the Arduino serial plotter reads it
* `csv_header`  `tempC,hum` first and again every so many rows, `21.53,45` otherwise
* `csv`         rows only; the reader must be told the columns
* `number`      `21.53`

As in real sketches a whole number may be printed without a fraction, in JSON and everywhere else.
Text has no checksum: a reader can't tell a forged digit from a real one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from simulators.devices import Item, Senses, Values, to_json


class Form(StrEnum):
    """How the sketch prints its numbers."""

    JSON = "json"
    KEYVALUE = "keyvalue"
    COLON = "colon"
    CSV_HEADER = "csv_header"
    CSV = "csv"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Style:
    """How a sketch prints; without a `separator` the form decides what stands between fields."""

    form: Form
    newline: str = "\r\n"
    separator: str = ""
    header_every: int = 20


class TextDevice:
    """A sketch that prints one line per reading."""

    def __init__(self, name: str, senses: Senses, style: Style) -> None:
        """Print in one style."""
        self.name = name
        self._senses = senses
        self._style = style
        self._separator = style.separator or (" " if style.form is Form.KEYVALUE else ",")
        self._rows = 0

    def reset(self) -> None:
        """Start again: the header comes first."""
        self._rows = 0

    def emit(self, sequence: int, t: float) -> list[Item]:
        """Return the line of one reading, after a header where one is due."""
        values = self._senses.values(sequence, t)
        line = Item("", self._line(_FORMS[self._style.form](values, self._separator)), values)
        if self._style.form is not Form.CSV_HEADER:
            return [line]
        due = self._rows % self._style.header_every == 0
        self._rows += 1
        return [Item("", self._line(self._separator.join(values)), {}), line] if due else [line]

    def lines(self, t: float, sequence: int = 1) -> bytes:
        """Return what the sketch prints at one instant."""
        return b"".join(item.data for item in self.emit(sequence, t))

    def _line(self, text: str) -> bytes:
        return (text + self._style.newline).encode()


def _json(values: Values, _separator: str) -> str:
    return to_json(values)


def _assigned(mark: str) -> Callable[[Values, str], str]:
    return lambda values, separator: separator.join(
        f"{name}{mark}{number(value)}" for name, value in values.items()
    )


def _row(values: Values, separator: str) -> str:
    return separator.join(number(value) for value in values.values())


def number(value: float) -> str:
    """Return a value as a sketch prints it; truth is 1 and 0."""
    return str(int(value)) if isinstance(value, bool) else str(value)


_FORMS: dict[Form, Callable[[Values, str], str]] = {
    Form.JSON: _json,
    Form.KEYVALUE: _assigned("="),
    Form.COLON: _assigned(":"),
    Form.CSV_HEADER: _row,
    Form.CSV: _row,
    Form.NUMBER: _row,
}
