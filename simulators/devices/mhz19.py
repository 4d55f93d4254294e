"""Winsen MH-Z19B, which answers when asked; its first minutes are warm-up.

    asked  FF 01 86 00 00 00 00 00 sum     answered  FF 86 hi lo temperature+40 0 0 0 sum
    asked  FF 01 99 ...                    answered  FF 99 01 0 0 0 0 0 sum       (range)

The sum makes that of all bytes but the first 0. What is damaged, or asked of somebody else, is not
answered. For WARM_UP_S after power-on it says WARM_UP_PPM, as real ones do. The variant `plain`
shows no temperature, as in the data sheet.
"""

from simulators.devices import Measure, Reply

WARM_UP_S = 60.0
WARM_UP_PPM = 410
RANGE_PPM = 5000

_SIZE = 9
_OWN_HEAT = 4.0
"""Degrees that the board is warmer than the room."""


class Mhz19:
    """One sensor."""

    def __init__(self, name: str, measure: Measure, *, temperature: bool) -> None:
        """Be off until the first byte comes."""
        self.name = name
        self._measure = measure
        self._temperature = temperature
        self._received = b""
        self._on_since: float | None = None

    def reset(self) -> None:
        """Lose power: it is back at the next byte."""
        self._received = b""
        self._on_since = None

    def receive(self, data: bytes, t: float) -> list[Reply]:
        """Answer every whole request."""
        if self._on_since is None:
            self._on_since = t
        self._received += data
        replies: list[Reply] = []
        while (start := self._received.find(b"\xff")) >= 0:
            request = self._received[start : start + _SIZE]
            if len(request) < _SIZE:
                self._received = request
                return replies
            valid = request[1] == 1 and sum(request[1:]) % 0x100 == 0
            self._received = self._received[start + (_SIZE if valid else 1) :]
            if valid:
                replies += self._answer(request[2], t)
        self._received = b""
        return replies

    def _answer(self, command: int, t: float) -> list[Reply]:
        """Return the answer to a command that has one."""
        if command == 0x99:  # noqa: PLR2004 -- detection range
            return [Reply(_frame([0x99, 1]), 0.01)]
        if command != 0x86:  # noqa: PLR2004 -- gas concentration
            return []
        ppm = min(round(self._measure("carbon_dioxide", t)), RANGE_PPM)
        if t - (self._on_since or 0.0) < WARM_UP_S:
            ppm = WARM_UP_PPM
        values = {"CO2": float(ppm)}
        raw = 0
        if self._temperature:
            raw = round(self._measure("temperature", t) + _OWN_HEAT) + 40
            values["temperature"] = float(raw)
        return [Reply(_frame([0x86, *divmod(ppm, 0x100), raw]), 0.01, values)]


def _frame(content: list[int]) -> bytes:
    body = bytes(content).ljust(_SIZE - 2, b"\0")
    return b"\xff" + body + bytes([-sum(body) % 0x100])


def make(name: str, measure: Measure, variant: str = "") -> Mhz19:
    """Return a sensor: `mhz19b`, or `plain` without a temperature."""
    if variant not in ("", "mhz19b", "plain"):
        msg = f"mhz19 has no variant {variant!r}; there are mhz19b, plain"
        raise ValueError(msg)
    return Mhz19(name, measure, temperature=variant != "plain")
