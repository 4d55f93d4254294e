"""JSON lines and messages."""

from gateway.conformance import ARRIVAL_NS, Vector
from gateway.model import Reading
from tests.specimens import Specimen

FLAT = Reading({"temperature": 21.53, "humidity": 45, "on": False, "state": "idle"})

VECTORS = [
    Vector(b'{"temperature":21.53,"humidity":45,"on":false,"state":"idle"}\n', [FLAT]),
    Vector(
        b'{"id":"k1","ts":1714557600,"room":{"t":{"value":21.5,"unit":"\xc2\xb0C"},"fan":[1,0]}}\r\n',
        [
            Reading(
                {"room.t": 21.5, "room.fan.0": 1, "room.fan.1": 0},
                {"room.t": "°C"},
                "k1",
                observed_at_ns=ARRIVAL_NS,
            )
        ],
        {"device": "id"},
    ),
    Vector(b'[{"t":1},{"t":0}]\n', [Reading({"t": 1}), Reading({"t": 0})]),
    Vector(b'{"t":nan,"u":1e400,"h":45}\n', [Reading({"t": float("nan"), "u": 9e999, "h": 45})]),
]

SPECIMEN = Specimen("json", VECTORS, resync=b"\n")
