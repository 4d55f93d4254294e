"""Mutated inputs into framer and decoder, very many: `python -m tests.fuzz`.

Strategy: a decoder is run in sessions of SESSION_INPUTS inputs, each with the options of one of its
vectors, so that its state is mistreated too. All inputs of a session are drawn from a seed of its
own. After each the laws of `tests.fuzz.session` must hold: nothing raised, every verdict well
formed, no byte lost, the buffer bounded, nothing decoded whose checksum is wrong. What decoder and
framer remember is measured every PROBE_INPUTS inputs; a session feeds several times as much as
they may.

Where a law is broken the inputs that do it again are looked for, and shown as Python literals.
"""

import random
import traceback
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from gateway.conformance import Vector
from gateway.model import Device
from tests.fuzz.inputs import inputs
from tests.fuzz.session import Session, Tally
from tests.specimens import Specimen

SESSION_INPUTS: Final = 5_000
PROBE_INPUTS: Final = 1_000
SHOWN: Final = 20


class Failure(NamedTuple):
    """A law that was broken, and inputs that break it again."""

    decoder: str
    words: str
    options: Mapping[str, object]
    inputs: Sequence[bytes]

    def report(self) -> str:
        shown = "".join(f"    {data!r},\n" for data in self.inputs[-SHOWN:])
        return (
            f"{self.words}\noptions = {dict(self.options)!r}\n"
            f"the last of {len(self.inputs)} inputs = [\n{shown}]"
        )


def fuzz(device: Device, specimen: Specimen, *, count: int, seed: int) -> Tally | Failure:
    """`count` inputs into the device, or the first failure."""
    total = Tally()
    number = 0
    while total.inputs < count:
        vector = specimen.vectors[number % len(specimen.vectors)]
        rng = random.Random(f"{seed} {device.name} {number}")
        size = min(SESSION_INPUTS, count - total.inputs)
        given = list(islice(inputs(rng, specimen, vector.data), size))
        broken = _run(device, specimen, vector, given, total)
        if broken is not None:
            return broken
        number += 1
    return total


def _run(
    device: Device, specimen: Specimen, vector: Vector, given: Sequence[bytes], total: Tally
) -> Failure | None:
    session = Session(device, specimen, vector)
    for number, data in enumerate(given, 1):
        if words := _broken(session, data, probe=number % PROBE_INPUTS == 0 or data is given[-1]):
            fewest = _fewest(device, specimen, vector, given[:number])
            return Failure(specimen.decoder, words, vector.options, fewest)
    total.add(session.tally)
    return None


def _broken(session: Session, data: bytes, *, probe: bool) -> str:
    """What broke a law, in words; empty: none is broken."""
    try:
        session.feed(data)
        if probe:
            session.probe()
    except Exception as error:  # noqa: BLE001 -- that is what it looks for
        return "".join(traceback.format_exception(error)).strip()
    return ""


def _fewest(
    device: Device, specimen: Specimen, vector: Vector, given: Sequence[bytes]
) -> Sequence[bytes]:
    """The shortest end of the inputs, in steps, that breaks a law too."""
    count = 1
    while count < len(given):
        session = Session(device, specimen, vector)
        end = given[-count:]
        if any(_broken(session, data, probe=data is end[-1]) for data in end):
            return end
        count *= 2
    return given
