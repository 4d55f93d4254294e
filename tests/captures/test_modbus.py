"""Frames of real devices, and the templates against the register documents of two meters."""

import json
import re
from typing import Any, NamedTuple

import pytest

from gateway.asking import Asker, Request
from gateway.conformance import feed
from gateway.devices import devices
from gateway.model import Decoded, Frame, Framed
from gateway.protocols.modbus.framing import RtuFramer
from gateway.protocols.modbus.templates import TEMPLATES
from tests import test_captures
from tests.test_captures import CAPTURES

pytestmark = test_captures.pytestmark

FOLDER = CAPTURES / "modbus_rtu"


def frames() -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads((FOLDER / "frames.json").read_text())}


def frame(name: str) -> bytes:
    return bytes.fromhex(frames()[name]["hex"])


def asker(address: int, *registers: dict[str, object]) -> tuple[Asker, bytes]:
    """A decoder whose request for the registers is under way, and the request."""
    device = {"name": "d", "address": address, "registers": [*registers]}
    decoder = devices()["modbus"].make_decoder({"devices": [device]})
    assert isinstance(decoder, Asker)
    decoder.begin(0.0)
    request = decoder.ask(0.0)
    assert isinstance(request, Request)
    return decoder, request.data


def values(decoder: Asker, data: bytes) -> dict[str, object]:
    verdict = decoder.decode(Frame(data, 0))
    assert isinstance(verdict, Decoded)
    return dict(verdict.readings[0].values)


def test_every_frame_is_found_in_a_stream_of_all() -> None:
    found = [bytes.fromhex(each["hex"]) for each in frames().values()]
    assert found
    items = list(feed(RtuFramer(), [b"".join(found)]))
    assert [item.data for item in items if isinstance(item, Framed)] == found


def test_our_request_is_that_of_the_document_and_its_answer_is_understood() -> None:
    volts = {"name": "v", "register": 0, "table": "input", "type": "float32"}
    decoder, request = asker(1, volts)
    assert request == frame("sdm630_doc_request_volts1")
    truth = frames()["sdm630_doc_response_volts1"]["truth"]["voltage_l1_V"]
    found = values(decoder, frame("sdm630_doc_response_volts1"))
    assert found == {"v": pytest.approx(truth, rel=1e-6)}


def test_a_capture_of_another_master_s_conversation_is_read() -> None:
    options = {"devices": [{"name": "d", "address": 1, "template": "sdm630"}]}
    stream = frame("sdm630_doc_request_volts1") + frame("sdm630_doc_response_volts1")
    decoder = devices()["modbus"].make_decoder(options)
    (framed,) = (
        verdict
        for item in feed(RtuFramer(), [stream])
        if isinstance(item, Framed)
        and isinstance(verdict := decoder.decode(Frame(item.data, 0)), Decoded)
    )
    truth = frames()["sdm630_doc_response_volts1"]["truth"]["voltage_l1_V"]
    assert framed.readings[0].values == {"voltage_l1": pytest.approx(truth, rel=1e-6)}


def test_a_charge_controller_s_battery_voltage() -> None:
    (template,) = (r for r in TEMPLATES["epever"].registers if r.name == "battery_voltage")
    register = {"name": "v", "register": template.address, "table": "input", "scale": 0.01}
    decoder, _ = asker(1, register)
    truth = frames()["epever_2206an_battery_voltage"]["truth"]["battery_voltage_V"]
    assert values(decoder, frame("epever_2206an_battery_voltage")) == {"v": truth}


def test_holding_registers_of_another_implementation() -> None:
    truth = frames()["pymodbus_test_framer_rtu"]["truth"]
    registers = [{"name": f"r{n}", "register": n} for n in range(len(truth["registers"]))]
    decoder, _ = asker(truth["unit"], *registers)
    found = values(decoder, frame("pymodbus_test_framer_rtu"))
    assert list(found.values()) == truth["registers"]


# ---------------------------------------------------------------------- register documents


class Entry(NamedTuple):
    """A line of a document's table."""

    words: str
    unit: str


def document(pattern: str, file: str) -> dict[int, Entry]:
    """Each parameter by its address; both ways to state the address agree."""
    text = " ".join((FOLDER / file).read_text().split())
    found = {}
    for match in re.finditer(pattern, text):
        address = int(match["high"] + match["low"], 16)
        assert address == int(match["register"]) - 30_001
        found[address] = Entry(match["words"].lower(), match["unit"].lower())
    return found


def sdm120() -> dict[int, Entry]:
    pattern = (
        r"(?P<register>30\d{3}) (?P<words>\D{3,40}?) 4 (?P<unit>\D{1,12}?)"
        r" (?P<high>0[01]) (?P<low>[0-9A-F]{2})\b"
    )
    return document(pattern, "sdm120_modbus_protocol_v2.4.txt")


def sdm630() -> dict[int, Entry]:
    pattern = (
        r"(?P<register>30\d{3}) \d{1,3} (?P<words>(?:(?!30\d{3} ).){3,60}?) (?P<unit>[^\s\d]{1,6})"
        r"(?: es)? (?P<high>0[01]) (?P<low>[0-9A-Fa-f]{2}) [√X]"
    )
    return document(pattern, "sdm630_modbus_protocol_v1.8.txt")


WORDS = {
    "voltage": "volt",
    "current": "current",
    "power": "power",
    "apparent_power": "volt amps|apparent power",
    "reactive_power": "reactive power|total system var",
    "power_factor": "power factor",
    "frequency": "frequency",
    "energy_import": "import.*(kwh|active energy)",
    "energy_export": "export.*(kwh|active energy)",
    "reactive_energy_import": "import.*(kvarh|reactive)",
    "reactive_energy_export": "export.*(kvarh|reactive)",
    "current_n": "neutral current",
}
UNITS = {
    "V": "volts",
    "A": "amps",
    "W": "watts|w",
    "VA": "va",
    "var": "var",
    "1": "none",
    "Hz": "hz",
    "kWh": "kwh",
    "kvarh": "kvarh",
}


@pytest.mark.parametrize(
    ("template", "registers", "least"), [("sdm120", sdm120, 11), ("sdm630", sdm630, 60)]
)
def test_a_template_says_what_the_document_says(template: str, registers: Any, least: int) -> None:  # noqa: ANN401
    documented: dict[int, Entry] = registers()
    assert len(documented) >= least
    for register in TEMPLATES[template].registers:
        entry = documented[register.address]
        base, _, phase = register.name.rpartition("_l")
        name = base if phase.isdigit() else register.name
        assert re.search(WORDS[name], entry.words), (register, entry)
        (unit,) = (word for word in entry.unit.split() if word != "float")
        assert re.fullmatch(UNITS[register.unit], unit), (register, entry)
        if phase.isdigit():
            assert re.search(rf"(phase |l){phase}\b", entry.words), (register, entry)
        else:
            assert not re.search(r"phase [123]|line [123]|\bl[123]\b|average|demand", entry.words)


def test_no_more_is_read_at_once_than_the_document_allows() -> None:
    text = " ".join((FOLDER / "sdm630_modbus_protocol_v1.8.txt").read_text().split())
    (most,) = re.findall(r"maximum number of registers requestable is (\d+)", text)
    assert TEMPLATES["sdm630"].limits.size == int(most)
