"""Modbus RTU from the simulated products to observations, by their templates."""

import pytest

from gateway.devices import devices
from gateway.model import Decoded, Frame, Malformed, Reason
from gateway.quantities import find_unit
from simulators.devices.modbus import MODELS
from tests.modbus.bench import bus, play, slave, world

TEMPLATES = {"s8": "senseair_s8"}
"""Where the template has another name."""

TO_KILO = {"pzem004t": {"energy": 1000.0}}
"""Wh on the line, kWh in the dictionary."""


@pytest.mark.parametrize("model", MODELS)
def test_what_a_product_says_is_what_is_observed(model: str) -> None:
    device = slave("x", f"{model}@9")
    sent: dict[str, float] = {}

    def respond(data: bytes, t: float) -> object:
        replies = device.receive(data, t)
        for reply in replies:
            sent.update(reply.values)
        return replies

    options = [{"name": "x", "address": 9, "template": TEMPLATES.get(model, model)}]
    run = play(options, respond, 9.0)  # type: ignore[arg-type]
    (point,) = run.points
    wanted = {name for name in sent if name in point.fields}
    assert wanted == point.fields.keys()
    for name in wanted:
        factor = TO_KILO.get(model, {}).get(name, 1.0)
        assert point.fields[name] == pytest.approx(sent[name] / factor, rel=1e-6), name
    assert run.losses().keys() <= {"exception"}
    assert not run.problems


def test_the_first_sdm72_has_less_and_that_is_no_problem() -> None:
    options = [{"name": "x", "address": 9, "template": "sdm72", "interval": "1s"}]
    run = play(options, slave("x", "sdm72@9").receive, 60.0)
    assert {*run.points[-1].fields} == {"power", "energy_import", "energy_export"}
    assert len(run.points) >= 57
    assert not run.problems
    # While it learns: then only what is there.
    assert run.polls()["exceptions"] < 60


def test_many_products_share_a_line() -> None:
    variants = ("sdm120@1", "sdm630@2", "pzem004t@3", "epever@4", "s8@5", "sdm72@6", "sdm230@7")
    options = [
        {"name": name, "address": n, "template": TEMPLATES.get(model, model), "interval": "5s"}
        for name, n, model in (
            (chr(ord("a") + n), n + 1, variant.partition("@")[0])
            for n, variant in enumerate(variants)
        )
    ]
    run = play(options, bus(*variants).receive, 60.0)
    assert {point.device for point in run.points} == set("abcdefg")
    assert all(len(run.of(name)) == 12 for name in "abcdeg")
    assert {point.measurement for point in run.points} == {
        "energy_meter",
        "electricity",
        "battery",
        "air_quality",
    }


def test_units_of_own_registers_are_converted() -> None:
    registers = [
        {"name": "voltage", "register": 0, "table": "input", "scale": 100, "unit": "mV"},
        {"name": "level", "register": 7, "table": "input", "scale": 0.1, "unit": "cm"},
    ]
    run = play(
        [{"name": "x", "address": 3, "registers": registers}], slave("x", "pzem004t@3").receive, 5.0
    )
    (point,) = run.points
    assert point.fields["voltage"] == pytest.approx(230.0, abs=0.2)
    assert point.fields["level"] == pytest.approx(0.499, abs=0.001)
    assert find_unit("cm") is not None


def test_what_is_no_value_is_refused_and_counted() -> None:
    registers = [
        {"name": "power_factor", "register": 8, "table": "input", "invalid": [90, 91, 92, 93, 94]},
        {"name": "frequency", "register": 7, "table": "input", "scale": 0.1, "unit": "Hz"},
    ]
    run = play(
        [{"name": "x", "address": 3, "registers": registers}], slave("x", "pzem004t@3").receive, 5.0
    )
    (point,) = run.points
    assert point.fields.keys() == {"frequency"}
    assert run.losses() == {"nan": 1}


def test_nothing_is_read_from_a_frame_that_nobody_asked_for() -> None:
    device = devices()["modbus"]
    options = {"devices": [{"name": "x", "address": 1, "template": "sdm630"}]}
    decoder = device.make_decoder(options)
    answer = bytes.fromhex("010404436633341b38")
    assert not isinstance(decoder.decode(Frame(answer, 0)), Decoded)
    damaged = Frame(answer[:-1] + b"\x39", 0)
    assert decoder.decode(damaged) == Malformed(Reason.CHECKSUM)


def test_only_functions_that_read_are_ever_sent() -> None:
    options = [
        {"name": name, "address": n + 1, "template": name, "interval": "1s"}
        for n, name in enumerate(("sdm630", "epever", "pzem004t"))
    ]
    run = play(options, bus("sdm630@1", "epever@2+dead", "pzem004t@3+garbage").receive, 60.0)
    assert {data[1] for _, data in run.line.written} == {4}
    assert all(len(data) == 8 for _, data in run.line.written)


def test_the_world_of_these_tests_has_no_equal_values() -> None:
    assert world("voltage", 1.0) != world("current", 1.0) != world("power", 2.0)
