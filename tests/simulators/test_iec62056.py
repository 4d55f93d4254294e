"""A simulated meter that sends its registers: its telegrams to the last byte."""

import pytest

from simulators.devices.iec62056 import make

WORLD = {"energy": 1250.5, "power": 420.0, "voltage": 230.4, "current": 1.8, "frequency": 50.01}


def telegram(variant: str) -> bytes:
    meter = make("house", lambda name, _t: WORLD[name], variant)
    meter.reset()
    return meter.emit(1, 0.0)[0].data


def test_a_pushed_telegram_to_the_last_byte() -> None:
    assert telegram("q3d").decode().split("\r\n") == [
        "/SIM5PUSH V1.00",
        "",
        "1-0:0.0.0*255(1742027165)",
        "1-0:1.8.0*255(00001250.5000000*kWh)",
        "1-0:2.8.0*255(00000062.5250000*kWh)",
        "1-0:21.7.0*255(000210.00*W)",
        "1-0:41.7.0*255(000126.00*W)",
        "1-0:61.7.0*255(000084.00*W)",
        "1-0:1.7.0*255(000420.00*W)",
        "1-0:96.5.5*255(80)",
        "0-0:96.1.255*255(1SIM1742027165)",
        "!",
        "",
    ]


def test_an_answer_has_parity_and_a_block_check_character() -> None:
    data = telegram("d0")
    assert all(byte.bit_count() % 2 == 0 for byte in data)
    text = bytes(byte & 0x7F for byte in data)
    _, _, block = text.partition(b"\x02")
    check = 0
    for byte in block[:-1]:
        check ^= byte
    assert (block[-2], block[-1]) == (3, check)
    assert b"\r\n1.8.0(00001250.50*kWh)\r\n" in block


def test_there_is_no_other() -> None:
    with pytest.raises(ValueError, match=r"not 'q9'"):
        telegram("q9")
    assert make("a", lambda _name, _t: 0.0).name == "a"
