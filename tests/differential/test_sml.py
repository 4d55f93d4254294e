"""Generated transmissions through our decoder and through pysml (MIT), an independent one.

pysml has its own words for codes and units; each number of the list must be the same in both. What
it does not know is left out of the messages: Kermit's checksum, bare times, numbers in fewer bytes
than they need.
"""

import random

import pytest
from sml import SmlBase

from gateway.conformance import feed
from gateway.devices.sml import DEVICE, Transmissions
from gateway.model import Decoded, Frame, Framed
from simulators.devices import sml as meter

CODES = {
    "1.8.0": "energy_import",
    "1.8.1": "energy_import_t1",
    "2.8.0": "energy_export",
    "3.8.0": "reactive_energy_import",
    "16.7.0": "power",
    "36.7.0": "power_l1",
    "32.7.0": "voltage_l1",
    "71.7.0": "current_l3",
    "14.7.0": "frequency",
    "81.7.4": "obis_81_7_4",
}
UNITS = [8, 27, 29, 30, 31, 32, 33, 35, 44]
KILO = {"Wh", "VAh", "varh"}


def generated(rng: random.Random) -> bytes:
    """A transmission of one list, with escape bytes here and there."""
    server = (
        b"\x0a\x01" + rng.choice([b"EMH", b"ISK"]) + rng.randbytes(1) + b"\0" + rng.randbytes(3)
    )
    entries = [meter.key_entry(rng.choice([b"\x1b", b"\x01\x1a", b"k"]) * rng.randint(1, 40))]
    for code in rng.sample(sorted(CODES), rng.randint(1, len(CODES))):
        size = rng.randint(1, 8)
        if rng.random() < 0.5:
            value = meter.unsigned(rng.randrange(1 << 8 * size), size)
        else:
            value = meter.integer(rng.randrange(-1 << 8 * size - 1, 1 << 8 * size - 1), size)
        scaler = rng.randint(-5, 3)
        entries.append(meter.entry(code, value, unit=rng.choice(UNITS), scaler=scaler))
    rng.shuffle(entries)
    time = meter.seconds(float(rng.randrange(1 << 31)))
    return meter.meter_list(server, time, entries, rng.randrange(1 << 28))


def theirs(data: bytes) -> tuple[str, dict[str, float]]:
    """The meter's number and the values by our names and units, as pysml reads them."""
    end, frame = SmlBase.find_frame(data)
    assert end == len(data)
    body = frame[1]["messageBody"]
    values = {}
    for entry in body["valList"]:
        name = CODES.get(entry["objName"].removeprefix("1-0:").removesuffix("*255"))
        if name:
            values[name] = entry["value"] / (1000 if entry["unit"] in KILO else 1)
    return body["serverId"].replace(" ", ""), values


def ours(data: bytes) -> tuple[str, dict[str, object]]:
    (item,) = feed(Transmissions(), [data])
    assert isinstance(item, Framed)
    verdict = DEVICE.decoder().decode(Frame(item.data, 0))
    assert isinstance(verdict, Decoded)
    (reading,) = verdict.readings
    return reading.device, dict(reading.values)


@pytest.mark.parametrize("seed", range(10))
def test_both_read_the_same(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        data = generated(rng)
        device, values = theirs(data)
        our_device, our_values = ours(data)
        assert our_values == pytest.approx(values, rel=1e-12)
        assert our_device == device


@pytest.mark.parametrize("seed", range(5))
def test_both_refuse_the_same(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        data = bytearray(generated(rng))
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        assert SmlBase.find_frame(bytes(data))[1] is None
        framed = [item for item in feed(Transmissions(), [bytes(data)]) if isinstance(item, Framed)]
        verdicts = [DEVICE.decoder().decode(Frame(item.data, 0)) for item in framed]
        assert not any(isinstance(verdict, Decoded) for verdict in verdicts)
