"""The captures of air sensors: a stream of bytes, and a table of what is in it."""

import csv

from gateway.conformance import Vector, readings_of
from gateway.devices import devices
from gateway.model import Reading
from tests.test_captures import CAPTURES

FOLDER = CAPTURES / "uart_air"


def readings(decoder: str, capture: str) -> list[Reading]:
    """What the decoder makes of a capture, whole and byte by byte."""
    stream = (FOLDER / f"{capture}.stream.bin").read_bytes()
    whole = readings_of(devices()[decoder], [stream], Vector(b"", ()))
    pieces = [stream[at : at + 1] for at in range(len(stream))]
    assert readings_of(devices()[decoder], pieces, Vector(b"", ())) == whole
    return whole


def rows(capture: str) -> list[dict[str, float]]:
    """The table's rows."""
    with (FOLDER / f"{capture}.csv").open(newline="") as file:
        found = list(csv.DictReader(file, skipinitialspace=True))
    return [{name: float(text) for name, text in row.items() if name != "time"} for row in found]
