"""Victron products, read by a few lines of their own."""

import re

import pytest

from simulators.devices import make_device
from simulators.devices.vedirect import hex_message

WORLD = {"battery_voltage": 12.8, "battery_current": -2.5, "battery": 90.0, "panel_power": 0.0}


def measure(quantity: str, _t: float) -> float:
    return WORLD.get(quantity, 20.0)


def lines(block: bytes) -> dict[str, str]:
    assert sum(block) % 256 == 0
    pairs = (line.split(b"\t") for line in block.split(b"\r\nChecksum\t")[0].split(b"\r\n")[1:])
    return {label.decode(): text.decode() for label, text in pairs}


def test_a_battery_monitor_says_two_blocks() -> None:
    live, history = make_device("vedirect", "a", measure, "bmv").emit(1, 0.0)
    found = lines(live.data)
    assert (found["V"], found["I"], found["P"], found["SOC"]) == ("12800", "-2500", "-32", "900")
    assert found["TTG"] == "4320"  # 180 Ah at 2.5 A
    assert live.values["V"] == 12_800
    assert lines(history.data).keys() == history.values.keys()


def test_a_solar_charger_rests_at_night() -> None:
    (block,) = make_device("vedirect", "a", measure, "mppt").emit(1, 0.0)
    found = lines(block.data)
    assert (found["CS"], found["MPPT"], found["OR"]) == ("0", "0", "0x00000001")
    assert found["SER#"]


def test_hex_messages_interrupt_a_block_and_do_not_count() -> None:
    (plain,) = make_device("vedirect", "a", measure, "mppt").emit(1, 0.0)
    (item,) = make_device("vedirect", "a", measure, "mppt_hex").emit(1, 0.0)
    messages = re.findall(rb":[0-9A-F]+\n", item.data)
    assert len(messages) == 3
    assert re.sub(rb":[0-9A-F]+\n", b"", item.data) == plain.data
    assert item.values == plain.values


def test_a_hex_message_of_the_manual() -> None:
    assert hex_message(7, b"\xf0\xed\x00") == b":7F0ED0071\n"


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(ValueError, match="bmv, mppt, mppt_hex"):
        make_device("vedirect", "a", measure, "inverter")
