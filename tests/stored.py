"""What is stored of what a device says."""

from collections.abc import Iterable

from gateway.conformance import Vector, readings_of
from gateway.devices import devices
from gateway.model import FieldValue, Frame, Observation, Reading, Reason
from tests.test_normalize import NOON, Bench


def stored(reading: Reading, *, harmless: Iterable[Reason] = ()) -> dict[str, FieldValue]:
    """The reading's fields under their names and in their units; nothing may be refused."""
    bench = Bench()
    observation = bench.normalizer.normalize(reading, Frame(b"", NOON))
    assert bench.refused().keys() <= {*harmless}, (reading, bench.refused())
    assert isinstance(observation, Observation), reading
    return dict(observation.fields)


def stored_of(decoder: str, stream: bytes) -> list[dict[str, FieldValue]]:
    """Likewise of all readings in a stream, one after the other."""
    return [stored(each) for each in readings_of(devices()[decoder], [stream], Vector(b"", ()))]
