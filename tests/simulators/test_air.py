"""Air sensors: their bytes, checked by hand, and how those that are asked behave."""

import pytest

from simulators.devices import make_device, mhz19, pms, sds011, sps30

AIR = {
    "pm25": 9.0,
    "pm10": 9.0,
    "temperature": -3.26,
    "humidity": 45.0,
    "formaldehyde": 18.0,
    "carbon_dioxide": 690.0,
}


MASS = "00 08 00 0b 00 10 00 06 00 09 00 0d"
COUNTS = "04 ec 01 7a 00 44 00 07"


def measure(quantity: str, _t: float) -> float:
    return AIR[quantity]


@pytest.mark.parametrize(
    ("variant", "frame"),
    [
        ("", f"1c {MASS} {COUNTS} 00 03 00 01 91 00 03 35"),
        ("pms5003t", f"1c {MASS} {COUNTS} ff df 01 c2 91 00 05 d2"),
        ("pms3003", f"14 {MASS} 00 00 00 00 00 00 00 e2"),
        (
            "pms5003st",
            f"24 {MASS} {COUNTS} 00 03 00 01 00 12 ff df 01 c2 00 00 91 00 05 f0",
        ),
    ],
)
def test_a_plantower_frame(variant: str, frame: str) -> None:
    (item,) = pms.make("dust", measure, variant).emit(1, 0.0)
    assert item.data.hex(" ") == f"42 4d 00 {frame}"
    assert item.values["PM2.5"] == 9
    assert item.values.get("temperature", -33) == -33


def test_an_sds011_report() -> None:
    device = sds011.make("dust", measure)
    (item,) = device.emit(1, 0.0)
    body = bytes([90, 0, 126, 0]) + device.identity
    assert item.data == b"\xaa\xc0" + body + bytes([sum(body) & 0xFF]) + b"\xab"
    assert item.values == {"PM2.5": 90, "PM10": 126}
    assert device.identity != sds011.make("other", measure).identity


def test_an_mhz19_answers_whole_and_undamaged_requests_to_itself() -> None:
    device = mhz19.make("co2", measure)
    request = bytes.fromhex("ff 01 86 00 00 00 00 00 79")
    assert device.receive(b"\x00\xff" + request[:4], 0.0) == []
    (reply,) = device.receive(request[4:], 100.0)
    assert reply.data.hex(" ") == "ff 86 02 b2 29 00 00 00 9d"
    assert reply.values == {"CO2": 690.0, "temperature": 41.0}
    for silent in (
        bytes.fromhex("ff 01 86 00 00 00 00 00 78"),
        bytes.fromhex("ff 02 86 00 00 00 00 00 78"),
        bytes.fromhex("ff 01 87 00 00 00 00 00 78"),
    ):
        assert device.receive(silent, 100.0) == []
    assert len(device.receive(request * 2, 100.0)) == 2
    (reply,) = device.receive(bytes.fromhex("ff 01 99 00 00 00 07 d0 8f"), 100.0)
    assert reply.data.hex(" ") == "ff 99 01 00 00 00 00 00 66"


def test_an_mhz19_warms_up_after_each_power_on() -> None:
    device = mhz19.make("co2", measure, "plain")
    request = bytes.fromhex("ff 01 86 00 00 00 00 00 79")

    def asked(t: float) -> dict[str, float]:
        (reply,) = device.receive(request, t)
        return dict(reply.values)

    assert [asked(t)["CO2"] for t in (10.0, 69.0, 71.0)] == [410.0, 410.0, 690.0]
    device.reset()
    assert asked(100.0) == {"CO2": 410.0}


START = bytes.fromhex("7e 00 00 02 01 03 f9 7e")
READ = bytes.fromhex("7e 00 03 00 fc 7e")


def test_an_sps30_measures_once_it_is_started() -> None:
    device = sps30.make("dust", measure)

    def asked(request: bytes, t: float) -> str:
        (reply,) = device.receive(request, t)
        return reply.data.hex(" ")

    assert asked(READ, 0.0) == "7e 00 03 43 00 b9 7e"
    assert asked(START, 0.0) == "7e 00 00 00 00 ff 7e"
    assert asked(START, 0.0) == "7e 00 00 43 00 bc 7e"
    assert asked(READ, 0.9) == "7e 00 03 00 00 fc 7e"
    assert asked(READ, 1.0).startswith("7e 00 03 00 28 40 c9 99 9a 41 10 00 00")
    assert asked(READ, 1.9) == "7e 00 03 00 00 fc 7e"
    assert len(asked(READ, 2.0)) > 100
    assert asked(bytes.fromhex("7e 00 01 00 fe 7e"), 2.0) == "7e 00 01 00 00 fe 7e"
    assert asked(READ, 3.0) == "7e 00 03 43 00 b9 7e"
    assert asked(START, 3.0) == "7e 00 00 00 00 ff 7e"
    device.reset()
    assert asked(READ, 4.0) == "7e 00 03 43 00 b9 7e"


def test_an_sps30_says_why_it_does_not() -> None:
    device = sps30.make("dust", measure)

    def state(request: str) -> int:
        (reply,) = device.receive(bytes.fromhex(request), 0.0)
        return reply.data[3]

    assert state("7e 00 00 01 02 fc 7e") == 1
    assert state("7e 00 00 02 01 09 f3 7e") == 4
    assert state("7e 00 55 00 aa 7e") == 2
    assert state("7e 00 01 00 fe 7e") == 0x43
    assert device.receive(bytes.fromhex("7e 00 03 00 fd 7e 7e 00 7d"), 0.0) == []


def test_an_sps30_stuffs_its_bytes_and_says_what_is_in_them() -> None:
    device = sps30.make("dust", lambda _quantity, _t: 17.0)
    device.receive(bytes.fromhex("7e 00 00 02 01 05 f7 7e"), 0.0)
    (reply,) = device.receive(READ, 5.0)
    assert reply.data.hex(" ") == (
        "7e 00 03 00 14 00 0c 00 7d 31 00 14 00 18 00 66 00 79 00 7d 5e 00 7f 00 80 02 16 2b 7e"
    )
    assert list(reply.values.values()) == [12, 17, 20, 24, 102, 121, 126, 127, 128, 534]


@pytest.mark.parametrize("product", ["pms", "sds011", "mhz19", "sps30"])
def test_a_variant_that_is_none_is_refused(product: str) -> None:
    with pytest.raises(ValueError, match=f"{product} has no variant 'x'"):
        make_device(product, "a", measure, "x")
