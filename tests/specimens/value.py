"""One value per topic."""

from gateway.conformance import Vector
from gateway.model import Reading
from tests.specimens import Specimen

TOPIC = "home/kitchen/temperature"

VECTORS = [
    Vector(b"21.5", [Reading({"temperature": 21.5})], topic=TOPIC),
    Vector("21.5 °C".encode(), [Reading({"temperature": "21.5 °C"})], topic=TOPIC),
    Vector(b"on", [Reading({"state": "on"})], topic="a/b", captures={"field": "state"}),
]

SPECIMEN = Specimen("value", VECTORS)
