"""Devices: what they print and publish, read back by an independent few lines."""

import json

import pytest

from simulators.devices import Device, Quantity, Senses
from simulators.devices.mqtt_json import JsonDevice
from simulators.devices.mqtt_value import ValueDevice
from simulators.devices.text import Form, Style, TextDevice

QUANTITIES = (Quantity("temperature", "tempC"), Quantity("humidity", "hum"))
AIR = {"temperature": 21.53, "humidity": 45.0, "occupancy": 1.0, "power": -3.25}


def senses(*quantities: Quantity, sequence: bool = False) -> Senses:
    return Senses(lambda quantity, _t: AIR[quantity], quantities or QUANTITIES, sequence)


@pytest.mark.parametrize(
    ("style", "line"),
    [
        (Style(Form.JSON), b'{"sequence":7,"tempC":21.53,"hum":45}\r\n'),
        (Style(Form.JSON, newline="\n"), b'{"sequence":7,"tempC":21.53,"hum":45}\n'),
        (Style(Form.KEYVALUE), b"sequence=7 tempC=21.53 hum=45\r\n"),
        (Style(Form.KEYVALUE, separator=","), b"sequence=7,tempC=21.53,hum=45\r\n"),
        (Style(Form.COLON), b"sequence:7,tempC:21.53,hum:45\r\n"),
        (Style(Form.CSV), b"7,21.53,45\r\n"),
        (Style(Form.CSV, separator=";"), b"7;21.53;45\r\n"),
        (Style(Form.CSV_HEADER), b"sequence,tempC,hum\r\n7,21.53,45\r\n"),
    ],
)
def test_each_form_prints_its_line(style: Style, line: bytes) -> None:
    assert TextDevice("a", senses(sequence=True), style).lines(0.0, 7) == line


def test_a_number_stands_alone() -> None:
    only = senses(Quantity("temperature", "ignored"))
    assert TextDevice("a", only, Style(Form.NUMBER)).lines(0.0) == b"21.53\r\n"


def test_a_header_comes_first_again_and_after_power_on() -> None:
    device = TextDevice("a", senses(), Style(Form.CSV_HEADER, header_every=3))
    kinds = [len(device.emit(number, 0.0)) for number in range(8)]
    assert kinds == [2, 1, 1, 2, 1, 1, 2, 1]
    device.reset()
    header, row = device.emit(9, 0.0)
    assert header.values == {}
    assert row.values == {"tempC": 21.53, "hum": 45}


def test_json_is_flat_or_nested() -> None:
    quantities = (Quantity("temperature", "air.temp"), Quantity("humidity", "hum"))
    flat = JsonDevice("a", senses(*quantities, sequence=True), "x/y")
    assert flat.messages(0.0, 3) == [("x/y", b'{"sequence":3,"air.temp":21.53,"hum":45}')]
    nested = JsonDevice("a", senses(*quantities, sequence=True), "x/y", nested=True)
    [(_, payload)] = nested.messages(0.0, 3)
    assert json.loads(payload) == {"sequence": 3, "air": {"temp": 21.53}, "sensor": {"hum": 45}}


def test_values_have_a_topic_each() -> None:
    quantities = (
        Quantity("temperature", "t", "°C"),
        Quantity("occupancy", "motion"),
        Quantity("power", "p"),
    )
    device = ValueDevice("a", senses(*quantities, sequence=True), "home/a/{field}")
    assert device.messages(0.0, 4) == [
        ("home/a/sequence", b"4"),
        ("home/a/t", "21.53 °C".encode()),
        ("home/a/motion", b"on"),
        ("home/a/p", b"-3.25"),
    ]


def test_all_are_devices() -> None:
    devices: list[Device] = [
        TextDevice("a", senses(), Style(Form.JSON)),
        JsonDevice("a", senses(), "t"),
        ValueDevice("a", senses(), "t"),
    ]
    for device in devices:
        device.reset()
        assert device.name == "a"
