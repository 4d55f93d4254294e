"""Dumps of real meters, some damaged, against what an independent decoder made of them."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.conformance import feed
from gateway.devices.sml import DEVICE, Transmissions
from gateway.model import Decoded, Frame, Framed, Malformed, Reading, Value
from tests.test_captures import CAPTURES
from tests.test_captures import pytestmark as needs_captures

pytestmark = needs_captures

FIELDS = {
    "1-0:1.8.0*255": "energy_import",
    "1-0:1.8.1*255": "energy_import_t1",
    "1-0:1.8.2*255": "energy_import_t2",
    "1-0:2.8.0*255": "energy_export",
    "1-0:2.8.1*255": "energy_export_t1",
    "1-0:2.8.2*255": "energy_export_t2",
    "1-0:1.7.0*255": "power",
    "1-0:1.7.1*255": "power",
    "1-0:15.7.0*255": "absolute_power",
    "1-0:16.7.0*255": "power",
    "1-0:36.7.0*255": "power_l1",
    "1-0:56.7.0*255": "power_l2",
    "1-0:76.7.0*255": "power_l3",
    "1-0:32.7.0*255": "voltage_l1",
    "1-0:52.7.0*255": "voltage_l2",
    "1-0:72.7.0*255": "voltage_l3",
}
KILO = {30: 1000.0}
"""DLMS units that become a thousandth: Wh."""

UNSIGNED = {("DZG_DVS-7412.2_jmberg", "power"): 655.36}
"""Where the truth takes the meter at its word: this one says 356.24 W as -299.12 W."""

DUMPS = sorted((CAPTURES / "sml").glob("*.bin"))


def truth(dump: Path) -> Iterator[dict[str, float]]:
    """The numbers of each frame, by our names and in our units."""
    for frame in json.loads(dump.with_suffix(".expected.json").read_text())["frames"]:
        yield {
            FIELDS[code]: value / KILO.get(unit, 1.0) + UNSIGNED.get((dump.stem, FIELDS[code]), 0)
            for code, (value, unit) in frame.items()
            if unit
        }


def decode(dump: Path, chunks: list[bytes]) -> tuple[list[Reading], int]:
    """The readings, and how many frames were refused."""
    decoder = DEVICE.decoder()
    framed = [item for item in feed(Transmissions(), chunks) if isinstance(item, Framed)]
    verdicts = [decoder.decode(Frame(item.data, 0)) for item in framed]
    readings = [one for found in verdicts if isinstance(found, Decoded) for one in found.readings]
    return readings, sum(isinstance(found, Malformed) for found in verdicts)


def stated(reading: Reading) -> dict[str, Value]:
    """Without the power that is made of the absolute one."""
    made = {"power"} if "absolute_power" in reading.values else set()
    return {name: value for name, value in reading.values.items() if name not in made}


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
def test_every_good_frame_is_decoded_to_its_true_values(dump: Path) -> None:
    readings, _ = decode(dump, [dump.read_bytes()])
    expected = list(truth(dump))
    assert len(readings) == len(expected)
    for reading, true in zip(readings, expected, strict=True):
        assert stated(reading) == pytest.approx(true, rel=1e-12)
        assert reading.device
        assert reading.observed_at_ns is None


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
def test_pieces_and_a_late_start_make_no_difference(dump: Path) -> None:
    data = dump.read_bytes()
    rng = random.Random(1)
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(200))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    whole = decode(dump, [data])
    assert decode(dump, pieces) == whole
    late, _ = decode(dump, [data[37:]])
    assert late in (whole[0], whole[0][1:])


def test_damaged_frames_are_refused() -> None:
    refused = {dump.stem: decode(dump, [dump.read_bytes()])[1] for dump in DUMPS}
    assert {stem: count for stem, count in refused.items() if count} == {
        "DZG_DVS-7420.2V.G2_mtr1_error": 7,  # bytes are missing, the ends among them
        "EMH_eHZ-IW8E2A5L0EK2P_with_error": 11,  # an entry that lacks its value
        "EasyMeter_Q3A_A1064V1009": 3,  # some bytes are missing
    }
