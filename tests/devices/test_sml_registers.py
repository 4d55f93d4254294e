"""SML: what meters mean by their registers, names and times."""

import pytest

from gateway.conformance import ARRIVAL_NS, feed
from gateway.devices.sml import Transmissions
from gateway.model import Decoded, Framed
from simulators.devices import sml as meter
from simulators.world import World
from tests.devices.test_sml import SERVER, WH, W, decode, reading, values, watts


def energy(status: int, code: str = "1.8.0") -> bytes:
    return meter.entry(
        code, meter.unsigned(10_000), status=meter.unsigned(status), unit=WH, scaler=-1
    )


@pytest.mark.parametrize(
    ("raw", "scaler", "unit", "code", "stored"),
    [
        (123_456_789, -1, WH, "1.8.0", 12345.6789),
        (3, -1, W, "16.7.0", 0.3),
        (29_416_459_364, -4, WH, "1.8.0", 2941.6459364),
        (12, 2, W, "16.7.0", 1200.0),
        (5, 3, WH, "1.8.0", 5.0),
        (7, 0, WH, "1.8.0", 0.007),
        (-1, -2, W, "16.7.0", -0.01),
    ],
)
def test_decimals_look_as_on_the_display(
    raw: int, scaler: int, unit: int, code: str, stored: float
) -> None:
    entry = meter.entry(code, meter.integer(raw), unit=unit, scaler=scaler)
    (value,) = values(entry).values()
    assert repr(value) == repr(stored)


def test_each_register_has_its_field_and_unit() -> None:
    registers = [
        ("1.8.0", 30, "energy_import", "kWh", 0.1),
        ("2.8.2", 30, "energy_export_t2", "kWh", 0.1),
        ("3.8.0", 32, "reactive_energy_import", "kvarh", 0.1),
        ("9.8.0", 31, "apparent_energy", "kVAh", 0.1),
        ("16.7.0", 27, "power", "W", 100.0),
        ("23.7.0", 29, "reactive_power_l1", "var", 100.0),
        ("9.7.0", 28, "apparent_power", "VA", 100.0),
        ("51.7.0", 33, "current_l2", "A", 100.0),
        ("72.7.0", 35, "voltage_l3", "V", 100.0),
        ("14.7.0", 44, "frequency", "Hz", 100.0),
        ("81.7.1", 8, "obis_81_7_1", "deg", 100.0),
        ("96.9.0", 9, "obis_96_9_0", "Cel", 100.0),
    ]
    found = reading(*(meter.entry(code, meter.unsigned(100), unit=u) for code, u, *_ in registers))
    assert found.values == {field: value for _, _, field, _, value in registers}
    assert found.units == {field: unit for _, _, field, unit, _ in registers}
    assert found.measurement == "energy_meter"


def test_units_that_are_missing_are_those_of_every_meter() -> None:
    bare = [meter.entry(code, meter.unsigned(1500)) for code in ("1.8.0", "16.7.0", "96.5.0")]
    found = reading(*bare)
    assert found.values == {"energy_import": 1.5, "power": 1500.0}
    assert found.units == {}


def test_other_periods_media_and_channels_are_no_register_of_this_one() -> None:
    now = meter.entry("1.8.0", meter.unsigned(5000), unit=WH)
    code = bytes([1, 0, 1, 8, 0, 0xFF])
    day, gas, channel = (
        now.replace(code, bytes(other))
        for other in ([1, 0, 1, 8, 0, 96], [7, 0, 1, 8, 0, 0xFF], [1, 1, 1, 8, 0, 0xFF])
    )
    assert values(day, gas, channel, now) == {"obis_1_8_0_96": 5.0, "energy_import": 5.0}


def test_import_and_export_of_power_become_one_field() -> None:
    assert values(watts(0, "1.7.0"), watts(250, "2.7.0")) == {"power": -250.0}


@pytest.mark.parametrize(
    ("status", "power"), [(0x0182, 60.0), (0x01A2, -60.0), (0x1C0104, 60.0), (0x1C0904, -60.0)]
)
def test_power_without_a_sign_goes_where_the_status_says(status: int, power: float) -> None:
    found = reading(energy(status), watts(600, "15.7.0", scaler=-1))
    assert found.values == {"energy_import": 1.0, "absolute_power": 60.0, "power": power}
    assert found.units["power"] == "W"
    idle = values(energy(status), watts(0, "15.7.0"))
    assert str(idle["power"]) == "0.0"


@pytest.mark.parametrize(
    ("status", "stated", "power"),
    [
        (0x1C0904, 600, -600.0),  # feeding, and stated without a sign
        (0x1C0904, -600, -600.0),
        (0x1C0104, 600, 600.0),
        (0x1C0104, -600, -600.0),
        (0x01A2, 600, 600.0),  # EDL: 16.7.0 has a sign
    ],
)
def test_net_power_is_negative_where_an_fnn_meter_feeds(
    status: int, stated: int, power: float
) -> None:
    assert values(energy(status), watts(stated))["power"] == power


DZG_SERVER = b"\x0a\x01DZG\x00\x02\x80\xde\xaa"
DRAWS, FEEDS = 0x1C0104, 0x1C0904


@pytest.mark.parametrize(
    ("server", "status", "wire", "power"),
    [
        (DZG_SERVER, DRAWS, "53 9c40", 400.0),
        (DZG_SERVER, DRAWS, "52 fa", 2.5),
        (DZG_SERVER, DRAWS, "53 0271", 6.25),
        (DZG_SERVER, FEEDS, "53 9c40", -255.36),
        (DZG_SERVER, FEEDS, "55 ffff9c40", -255.36),
        (DZG_SERVER, DRAWS, "55 ffff9c40", -255.36),
        (DZG_SERVER, 0x01A2, "53 9c40", -255.36),  # not the status that is known of these meters
        (SERVER, DRAWS, "53 9c40", -255.36),
    ],
)
def test_power_of_a_dzg_meter_that_draws_is_unsigned(
    server: bytes, status: int, wire: str, power: float
) -> None:
    entry = meter.entry("16.7.0", bytes.fromhex(wire), unit=W, scaler=-2)
    assert values(energy(status), entry, server=server)["power"] == power


def test_a_phase_of_a_dzg_meter_is_unsigned_where_it_has_no_other() -> None:
    phases = [
        meter.entry(code, bytes.fromhex("539c40"), unit=W, scaler=-2)
        for code in ("36.7.0", "56.7.0")
    ]
    single = values(energy(DRAWS), phases[0], server=DZG_SERVER)
    assert single["power_l1"] == 400.0
    several = values(energy(DRAWS), *phases, server=DZG_SERVER)
    assert (several["power_l1"], several["power_l2"]) == (-255.36, -255.36)


# ------------------------------------------------------------------------- identity and time


@pytest.mark.parametrize(
    ("server", "device"),
    [
        ("0a01454d480000bc614e", "1EMH0012345678"),
        ("0901454d481103b599a5", "1EMH1162232997"),
        ("0a01454d4800ffffffff", "0a01454d4800ffffffff"),  # no number of eight digits
        ("06454d48010212345678", "06454d48010212345678"),
        ("3032333435363738", "02345678"),
        ("0a01656d680000bc614e", "0a01656d680000bc614e"),  # makers have capital letters
    ],
)
def test_a_meter_is_called_as_printed_on_it(server: str, device: str) -> None:
    assert reading(watts(7), server=bytes.fromhex(server)).device == device


def test_a_meter_without_a_name_or_with_an_endless_one_has_none() -> None:
    assert reading(watts(7), server=b"").device == ""
    assert reading(watts(7), server=b"x" * 200).device == ""


SECONDS = ARRIVAL_NS // 10**9


@pytest.mark.parametrize(
    ("time", "observed_at_ns"),
    [
        (meter.NOTHING, None),
        (meter.seconds(1000.0), None),
        (meter.unsigned(1000), None),
        (meter.elements(meter.unsigned(2), meter.unsigned(SECONDS)), ARRIVAL_NS),
        (meter.elements(meter.unsigned(2), meter.unsigned(0)), None),
        (
            meter.elements(
                meter.unsigned(3),
                meter.elements(meter.unsigned(SECONDS), meter.integer(60), meter.integer(60)),
            ),
            ARRIVAL_NS,
        ),
    ],
)
def test_only_a_date_is_a_time(time: bytes, observed_at_ns: int | None) -> None:
    assert reading(watts(7), time=time).observed_at_ns == observed_at_ns


# --------------------------------------------------------------------------------- round trip

FIELDS = {
    "1.8.0": "energy_import",
    "1.8.1": "energy_import_t1",
    "1.8.2": "energy_import_t2",
    "2.8.0": "energy_export",
    "16.7.0": "power",
    "14.7.0": "frequency",
    **{f"{16 + 20 * phase}.7.0": f"power_l{phase}" for phase in (1, 2, 3)},
    **{f"{12 + 20 * phase}.7.0": f"voltage_l{phase}" for phase in (1, 2, 3)},
    **{f"{11 + 20 * phase}.7.0": f"current_l{phase}" for phase in (1, 2, 3)},
}


@pytest.mark.parametrize("variant", meter.VARIANTS)
def test_what_a_simulated_meter_says_is_understood(variant: str) -> None:
    world = World(3)
    device = meter.make("m", lambda quantity, t: world.value("cellar", quantity, t), variant)
    for number in range(50):
        (item,) = device.emit(number, number * 900.0)
        (frame,) = feed(Transmissions(), [item.data])
        assert isinstance(frame, Framed)
        verdict = decode(frame.data)
        assert isinstance(verdict, Decoded)
        (found,) = verdict.readings
        assert dict(found.values) == pytest.approx(
            {
                FIELDS[code]: value / 1000 if ".8." in code else value
                for code, value in item.values.items()
            },
            rel=1e-12,
        )
