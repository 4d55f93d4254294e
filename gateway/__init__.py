"""Sensor Gateway: serial and MQTT sensors, one event loop, into InfluxDB, losing nothing.

The pipeline, and the type that travels on each arrow (`model.py`):

    Transport --bytes--> Framer --Frame--> Decoder --Reading--> Normalizer --Observation--> Store
        MQTT enters here ----^    '-Noise     '-Malformed           '-Implausible, Repeated   |
                                                                                              |
    InfluxDB <--line protocol-- Sink <--Batch-- Delivery <----------- commits to disk --------'

`intake.py` is everything left of the store, `delivery.py` everything right of it, `app.py` puts
the parts together. Left of the store all is synchronous and pure; an observation meets three
awaits in its life: read, commit, send. Acknowledgements travel backwards, each only after the
next keeper has the data on disk: MQTT PUBACK after the commit, deletion from the spool after
InfluxDB's 204.

`ledger.py` counts both ends of every arrow, so that nothing disappears without a reason.
"""

__version__ = "0.1.0"
