"""An RS-485 bus: several devices that answer on one pair of wires.

Everybody hears everything that the master says; who is meant answers. Adapters that do not mute
their receiver while they send make the master hear itself (`echo`).

Limits: what two say at once is sent one after the other, not destroyed.
"""

from collections.abc import Sequence

from simulators.devices import Reply, Responder


class Bus:
    """All of them, as one device."""

    def __init__(self, name: str, members: Sequence[Responder], *, echo: bool = False) -> None:
        """Join them."""
        self.name = name
        self.members = members
        self._echo = echo

    def receive(self, data: bytes, t: float) -> list[Reply]:
        """Return the answers of whoever is meant."""
        heard = [Reply(data)] if self._echo else []
        for member in self.members:
            heard += [reply._replace(device=member.name) for reply in member.receive(data, t)]
        return heard

    def reset(self) -> None:
        """Lose power, all of them."""
        for member in self.members:
            member.reset()
