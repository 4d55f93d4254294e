"""Lines that a pattern reads."""

from gateway.conformance import ARRIVAL_NS, Vector
from gateway.model import Reading
from tests.specimens import Specimen

VECTORS = [
    Vector(
        b"T=21.53 C, H=45.2 %\r\n",
        [Reading({"temperature": 21.53, "humidity": 45.2}, {"temperature": "degC"})],
        {
            "pattern": r"T=(?P<temperature>[-0-9.]+) C, H=(?P<humidity>[0-9.]+) %",
            "units": {"temperature": "degC"},
        },
    ),
    Vector(
        b"2024-05-01 12:00:00;k7;open\n",
        [Reading({"door": "open"}, device="k7", observed_at_ns=ARRIVAL_NS)],
        {
            "pattern": r"^(?P<time>[-0-9 :]+);(?P<who>\w+);(?P<door>open|closed)(?P<more>,.*)?$",
            "device": "who",
            "timezone": "Europe/Berlin",
        },
    ),
]

SPECIMEN = Specimen("frames", VECTORS, resync=b"\n")
