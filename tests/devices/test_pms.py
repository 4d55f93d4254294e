"""Plantower: the models, what is no reading, and the simulator's frames."""

from functools import partial

import pytest

from gateway.conformance import Vector, readings_of
from gateway.devices.pms import DEVICE, PmsDecoder
from gateway.errors import ConfigError
from gateway.model import Frame, Ignored, Malformed, Reading, Reason, Verdict
from gateway.quantities import find_quantity
from simulators.devices.pms import make
from simulators.world import World
from tests.specimens import specimens

WIRE = {
    "PM1.0 CF1": ("pm1_cf1", 1),
    "PM2.5 CF1": ("pm25_cf1", 1),
    "PM10 CF1": ("pm10_cf1", 1),
    "PM1.0": ("pm1", 1),
    "PM2.5": ("pm25", 1),
    "PM10": ("pm10", 1),
    "> 0.3 um": ("number_concentration_0_3", 100),
    "> 0.5 um": ("number_concentration_0_5", 100),
    "> 1.0 um": ("number_concentration_1", 100),
    "> 2.5 um": ("number_concentration_2_5", 100),
    "> 5.0 um": ("number_concentration_5", 100),
    "> 10 um": ("number_concentration_10", 100),
    "formaldehyde": ("formaldehyde", 1),
    "temperature": ("temperature", 10),
    "humidity": ("humidity", 10),
}
"""The words of a frame: what each becomes, and by what it is divided."""


def frame(*words: int) -> bytes:
    data = b"BM" + (2 * len(words) + 2).to_bytes(2, "big")
    data += b"".join(word.to_bytes(2, "big") for word in words)
    return data + (sum(data) % 0x10000).to_bytes(2, "big")


def decode(data: bytes, model: str = "pms5003") -> Verdict:
    return PmsDecoder(model=model).decode(Frame(data, 0))


def readings(*chunks: bytes, model: str = "pms5003") -> list[Reading]:
    return readings_of(DEVICE, chunks, Vector(b"", (), {"model": model}))


@pytest.mark.parametrize("variant", ["pms5003", "pms5003t", "pms3003", "pms5003st"])
def test_what_the_simulator_measures_arrives(variant: str) -> None:
    world = World(1)
    device = make("dust", partial(world.value, "street"), variant)
    for number in range(20):
        (item,) = device.emit(number, 60.0 * number)
        model = "pms5003t" if variant == "pms5003t" else "pms5003"
        (reading,) = readings(item.data, model=model)
        sent = {WIRE[name][0]: word / WIRE[name][1] for name, word in item.values.items()}
        assert reading.values == sent
        assert reading.measurement == "air_quality"


def test_the_model_says_what_a_frame_of_28_holds() -> None:
    data = frame(*range(1, 14))
    names = {
        model: list(readings(data, model=model)[0].values)[6:]
        for model in ("pms5003", "pms5003s", "pms5003t")
    }
    counts = [f"number_concentration_{size}" for size in ("0_3", "0_5", "1", "2_5", "5", "10")]
    assert names == {
        "pms5003": counts,
        "pms5003s": [*counts, "formaldehyde"],
        "pms5003t": [*counts[:4], "temperature", "humidity"],
    }


@pytest.mark.parametrize(("word", "temperature"), [(0, 0.0), (0x7FFF, 3276.7), (0xFFFF, -0.1)])
def test_a_temperature_has_a_sign(word: int, temperature: float) -> None:
    (reading,) = readings(frame(*range(10), word, 500, 0), model="pms5003t")
    assert reading.values["temperature"] == temperature


def test_clean_air_is_a_reading() -> None:
    (reading,) = readings(frame(*[0] * 13))
    assert set(reading.values.values()) == {0}


def test_other_frames_are_understood_and_not_wanted() -> None:
    assert decode(frame(0xE100)) == Ignored(Reason.UNSUPPORTED)
    assert decode(frame(*[7] * 20)) == Ignored(Reason.UNSUPPORTED)


@pytest.mark.parametrize(
    "data", [b"", b"BM", b"BM\x00\x04", frame(1, 2)[:-1], b"XM" + frame(1)[2:]]
)
def test_the_decoder_trusts_nobody(data: bytes) -> None:
    assert decode(data) == Malformed(Reason.CHECKSUM, data)


def test_a_damaged_frame_does_not_take_the_next_one_with_it() -> None:
    good = frame(*range(13))
    damaged = good[:3] + b"\x24" + good[4:]
    assert len(readings(damaged + good, good)) == 2
    assert len(readings(good[:11] + good)) == 1


@pytest.mark.parametrize("model", ["pms7003", "PMS5003T", "", 5003, None, ["pms5003"]])
def test_other_models_are_refused_with_those_there_are(model: object) -> None:
    with pytest.raises(ConfigError, match=r'model: allowed: "pms5003", "pms5003s", "pms5003t"'):
        DEVICE.make_decoder({"model": model})


def test_the_dictionary_knows_every_field() -> None:
    fields = {name for v in specimens()["pms"].vectors for r in v.readings for name in r.values}
    assert len(fields) == 15
    for name in fields:
        match = find_quantity(name)
        assert match is not None
        assert match.field == name
