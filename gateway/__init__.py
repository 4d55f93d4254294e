"""Sensor Gateway: serial and MQTT sensors, one event loop, into InfluxDB, losing nothing.

The pipeline, and the type that travels on each arrow (`model.py`):

    Transport --bytes--> Framer --Frame--> Decoder --Reading--> Normalizer --Observation--> Store
        MQTT enters here ----^    '-Noise     '-Malformed           '-Implausible, Repeated   |
                                                                                              |
    InfluxDB <--line protocol-- Sink <--Batch-- Delivery <----------- commits to disk --------'

`pipeline.py` and `intake.py` are everything left of the store, `committer.py` brings it to the disk
in groups, `delivery.py` is everything right of it, and `app.py` puts the parts together. Left of
the store all is synchronous and pure; an observation meets three awaits in its life: read, commit,
send.
Acknowledgements travel backwards, each only after the next keeper has the data on disk: MQTT PUBACK
after the commit, deletion from the spool after InfluxDB's 204.

Framers are made of `framing/`. Decoders stand in `devices/`, one file each, and parts of their
protocols in `protocols/`; what names and units mean stands in `quantities/`.

Beside the arrows: `ledger.py` counts both ends of each, so that nothing disappears without a
reason; `admission.py` says who may bring how much; `dating.py` gives a time to what arrived before
there was one; `edges.py` is all that the world is, and a simulation's place to bring another one.
"""

__version__ = "0.1.0"
