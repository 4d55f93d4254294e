"""A device with known lines, and the steps and bytes of its scripts."""

from itertools import islice

from simulators.devices import Item
from simulators.faults import HEALTHY, Faults
from simulators.script import Plan, Script, Step
from simulators.seeds import generator


class Counting:
    """Says `n=1`, `n=2`, ..., and remembers when it lost power."""

    def __init__(self, *, serial: bool = True) -> None:
        self.name = "counting"
        self.resets = 0
        self._end = b"\r\n" if serial else b""

    def emit(self, sequence: int, _t: float) -> list[Item]:
        return [Item("a/topic", b"n=%d" % sequence + self._end, {"n": sequence})]

    def reset(self) -> None:
        self.resets += 1


def steps(
    faults: Faults = HEALTHY,
    *,
    seed: int = 1,
    readings: int = 200,
    serial: bool = True,
    device: Counting | None = None,
) -> list[Step]:
    """Return all steps of a short script."""
    plan = Plan(1.0, readings=readings, faults=faults, serial=serial)
    script = Script(device or Counting(serial=serial), plan, generator(seed, "script"))
    return list(islice(script, 100_000))


def wire(of: list[Step]) -> bytes:
    """Return the bytes of all steps."""
    return b"".join(step.data for step in of)
