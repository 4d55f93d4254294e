"""Lines of text in every form."""

from gateway.conformance import ARRIVAL_NS, Vector
from gateway.model import Reading
from tests.specimens import Specimen

NAN = float("nan")

VECTORS = [
    Vector(b"temp=21.5 hum=45\r\n", [Reading({"temp": 21.5, "hum": 45.0})]),
    Vector(b'{"temp":21.5,"hum":45}\n', [Reading({"temp": 21.5, "hum": 45})]),
    Vector(b"a:1,b:2.5,c:-3\n", [Reading({"a": 1.0, "b": 2.5, "c": -3.0})]),
    Vector(
        b"Temperature: 21.5 \xb0C  Humidity: 45 %\r\n",
        [Reading({"Temperature": "21.5 °C", "Humidity": "45 %"})],
    ),
    Vector(
        "time,temp (°C),hum\n1714557600,21.5,45\n1714557600,-1,nan\n".encode(),
        [
            Reading({"temp": t, "hum": h}, {"temp": "°C"}, observed_at_ns=ARRIVAL_NS)
            for t, h in ((21.5, 45.0), (-1.0, NAN))
        ],
    ),
    Vector(b"21,5;1013,2\n", [Reading({"t": 21.5, "p": 1013.2})], {"columns": ["t", "p"]}),
    Vector(b"21.5\r\n", [Reading({"value": 21.5})]),
]

SPECIMEN = Specimen("text", VECTORS, resync=b"\n")
