"""A device, or a bus of them, that answers whoever has its port open, at the pace of the line.

A pseudo-terminal carries a request at once; the device has it when its bytes would have passed a
line of the baud rate. An answer begins after the device's delay, once the line is free, and appears
in portions of at most PORTION_S, as from a USB adapter.

What waits to be said when the port is closed is not said.
"""

from collections import deque
from collections.abc import Mapping

from simulators.devices import Reply, Responder
from simulators.pace import Pace
from simulators.pty import BITS_PER_BYTE, LOOK_S, PORTION_S, Outlet
from simulators.script import Sent, Step
from simulators.tally import Account, Tally


class AnsweringPlayer:
    """Lets one responder live on one port."""

    def __init__(
        self, port: Outlet, baudrate: int, pace: Pace, tally: Tally, accounts: Mapping[str, Account]
    ) -> None:
        """Take a plugged port; `accounts` are those of whoever may answer."""
        self._port = port
        self._byte_s = BITS_PER_BYTE / baudrate
        self._portion = max(1, int(PORTION_S / self._byte_s))
        self._pace = pace
        self._tally = tally
        self._accounts = accounts
        self._portions: deque[tuple[float, bytes, Reply | None]] = deque()
        """When, what, and the answer that is complete with it."""
        self._free_at = 0.0

    async def play(self, responder: Responder) -> None:
        """Answer until the simulation ends."""
        origin = self._pace.now()
        while not self._pace.stopping:
            now = self._pace.now()
            if not self._port.attached():
                self._portions.clear()
                self._port.heard()
                await self._pace.until(now + LOOK_S)
                continue
            data = self._port.heard()
            if data:
                there = now + len(data) * self._byte_s
                for reply in responder.receive(data, there - origin):
                    self._plan(reply, there)
            self._speak()
            next_at = self._portions[0][0] if self._portions else now + LOOK_S
            await self._port.stirs(max(min(next_at - now, LOOK_S), 0.0))

    def _plan(self, reply: Reply, there: float) -> None:
        """Cut an answer into portions."""
        data = reply.data
        at = max(there + reply.delay_s, self._free_at)
        for begin in range(0, len(data), self._portion):
            portion = data[begin : begin + self._portion]
            at += len(portion) * self._byte_s
            is_last = begin + self._portion >= len(data)
            self._portions.append((at, portion, reply if is_last else None))
        self._free_at = at

    def _speak(self) -> None:
        """Put on the line what is due."""
        while self._portions and self._portions[0][0] <= self._pace.now():
            at, data, reply = self._portions.popleft()
            self._port.write(data)
            if reply is not None:
                self._count(reply, at)

    def _count(self, reply: Reply, at: float) -> None:
        account = self._accounts.get(reply.device)
        if account is None:  # the master's own words, repeated
            return
        self._tally.wrote(account, Step(at, reply.data))
        if reply.values:
            sent = Sent(account.readings + 1, dict(reply.values))
            self._tally.sent(account, sent, self._pace.wall())
