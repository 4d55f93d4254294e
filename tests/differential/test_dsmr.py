"""P1 telegrams against dsmr-parser, which is told the version that we have to find out."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from dsmr_parser import telegram_specifications
from dsmr_parser.exceptions import InvalidChecksumError, ParseError
from dsmr_parser.parsers import TelegramParser

from gateway.conformance import ARRIVAL_NS
from gateway.devices.dsmr import DsmrDecoder
from gateway.model import Decoded, Frame, Malformed, Reading
from simulators.devices.dsmr import make
from tests import p1
from tests.specimens.dsmr import telegram

ROUNDS = 150
DAY_S = 86_400

SPECIFICATIONS = {
    "v2.2": telegram_specifications.V2_2,
    "v4": telegram_specifications.V4,
    "v5": telegram_specifications.V5,
    "fluvius": telegram_specifications.BELGIUM_FLUVIUS,
    "sweden": telegram_specifications.SWEDEN,
    "hungary": telegram_specifications.EON_HUNGARY,
}


def theirs(version: str, data: bytes) -> dict[str, Any]:
    parser = TelegramParser(SPECIFICATIONS[version])
    found: dict[str, Any] = json.loads(parser.parse(data.decode(), throw_ex=True).to_json())
    return found


def ours(data: bytes) -> list[Reading]:
    verdict = DsmrDecoder().decode(Frame(data, ARRIVAL_NS))
    assert isinstance(verdict, Decoded), verdict
    assert not verdict.malformed
    return list(verdict.readings)


WORLD = {
    "energy": (0.0, 90_000.0),
    "power": (0.0, 9_000.0),
    "panel_power": (0.0, 9_000.0),
    "voltage": (200.0, 250.0),
    "current": (0.0, 63.0),
}


def simulated(version: str) -> Callable[[random.Random], bytes]:
    """Telegrams of any house at any second of a year."""

    def one(rng: random.Random) -> bytes:
        meter = make("house", lambda name, _t: rng.uniform(*WORLD[name]), version)
        return meter.emit(1, rng.randrange(365 * DAY_S))[0].data

    return one


def sweden(rng: random.Random) -> bytes:
    def number(c: int, form: str, unit: str, high: float, d: int = 7) -> str:
        return f"1-0:{c}.{d}.0({rng.uniform(0.0, high):{form}}*{unit})"

    lines = [number(c, "012.3f", unit, 1e6, 8) for c, unit in SWEDISH_ENERGIES.items()]
    lines += [number(c, "08.3f", "kW", 1e3) for c in (1, 2, 21, 22, 41, 42, 61, 62)]
    lines += [number(c, "08.3f", "kVAr", 1e3) for c in (23, 24, 43, 44, 63, 64)]
    lines += [number(c, "05.1f", "V", 250.0) for c in (32, 52, 72)]
    lines += [number(c, "05.1f", "A", 63.0) for c in (31, 51, 71)]
    stamp = f"24{rng.randrange(1, 13):02}{rng.randrange(1, 25):02}113000"
    winter = stamp[2:4] in ("01", "02", "03", "11", "12")
    return telegram(f"0-0:1.0.0({stamp}{'W' if winter else 'S'})", *lines)


SWEDISH_ENERGIES = {1: "kWh", 2: "kWh", 3: "kVArh", 4: "kVArh"}


def hungary(rng: random.Random) -> bytes:
    lines = [f"1-0:{c}.8.{e}({rng.uniform(0, 1e5):010.3f}*kWh)" for c in (1, 2) for e in range(5)]
    lines += [f"1-0:{c}.8.0({rng.uniform(0, 1e5):010.3f}*kvarh)" for c in range(3, 9)]
    lines += [f"1-0:{c}.7.0({rng.uniform(0, 99):06.3f}*kvar)" for c in range(5, 9)]
    lines += ["1-0:1.7.0(00.000*kW)", f"1-0:2.7.0({rng.uniform(0, 9):06.3f}*kW)"]
    lines += [f"1-0:15.8.0({rng.uniform(0, 1e5):010.3f}*kWh)", "1-0:14.7.0(49.98*Hz)"]
    return telegram("0-0:96.14.0(0001)", *lines, "1-0:13.7.0(0.912)")


GENERATED = {
    **{version: simulated(version) for version in ("v2.2", "v4", "v5", "fluvius")},
    "sweden": sweden,
    "hungary": hungary,
}


@pytest.mark.parametrize("version", GENERATED)
def test_we_agree_on_every_value(version: str) -> None:
    rng = random.Random(1)
    for _ in range(ROUNDS):
        data = GENERATED[version](rng)
        true = theirs(version, data)
        meter, *others = ours(data)
        assert meter.values == pytest.approx(p1.electricity(true))
        assert meter.observed_at_ns == p1.time_ns(true)
        assert list(map(p1.shown, others)) == p1.behind(true, zone=version != "v2.2")


def test_we_refuse_what_they_refuse() -> None:
    """Characters are altered; their parser takes a telegram apart whose CRC is right by chance."""
    rng = random.Random(1)
    refused = 0
    for _ in range(ROUNDS * 2):
        data = bytearray(GENERATED["v5"](rng))
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data) - 6)] = rng.randrange(0x20, 0x7F)
        try:
            theirs("v5", bytes(data))
        except (InvalidChecksumError, ParseError):
            refused += 1
            assert isinstance(DsmrDecoder().decode(Frame(bytes(data), ARRIVAL_NS)), Malformed)
    assert refused > ROUNDS
