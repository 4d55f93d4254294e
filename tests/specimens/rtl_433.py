"""Events of rtl_433; copies are wanted, because every check sends each of them twice."""

from gateway.conformance import ARRIVAL_NS, Vector
from gateway.model import Reading
from tests.specimens import Specimen

OPTIONS = {"duplicates": "0s"}

VECTORS = [
    Vector(
        b'{"time" : "2024-05-01 10:00:00", "model" : "Nexus-TH", "id" : 177, "channel" : 3,'
        b' "battery_ok" : 1, "temperature_C" : 21.300, "humidity" : 39, "mod" : "ASK",'
        b' "freq" : 433.9, "rssi" : -0.117, "snr" : 20.2, "noise" : -20.3}\n',
        [
            Reading(
                {
                    "battery_ok": 1,
                    "temperature_C": 21.3,
                    "humidity": 39,
                    "rssi": -0.117,
                    "snr": 20.2,
                },
                {"rssi": "dB", "snr": "dB"},
                "Nexus-TH-177",
                "climate",
                {"model": "Nexus-TH", "channel": "3"},
            )
        ],
        OPTIONS,
    ),
    Vector(
        b'{"time":"2024-05-01T10:00:00Z","type":"TPMS","model":"Abarth-124Spider","id":"0a1b2c3d",'
        b'"pressure_kPa":215.0,"temperature_C":25.0,"codes":["{8}ff","{8}00"],"flags":{"a":0}}\n',
        [
            Reading(
                {
                    "pressure_kPa": 215.0,
                    "temperature_C": 25.0,
                    "codes.0": "{8}ff",
                    "codes.1": "{8}00",
                    "flags.a": 0,
                },
                {},
                "Abarth-124Spider-0a1b2c3d",
                "sensor",
                {"model": "Abarth-124Spider", "type": "TPMS"},
                ARRIVAL_NS,
            )
        ],
        OPTIONS,
    ),
]

SPECIMEN = Specimen("rtl_433", VECTORS, resync=b"\n")
