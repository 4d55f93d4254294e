"""Runs a scenario: all ports, the broker connection and their clock in one event loop.

Order of ending: players finish their lines, ports give their readers a moment and disappear, the
broker confirms what is outstanding (up to a minute, after a signal less than a second), the session
is removed from the broker. A signal ends everything within two seconds; so does the last step of
the last script, if scripts end.
"""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from functools import partial

from simulators.answers import AnsweringPlayer
from simulators.build import AnsweringPart, SerialPart, mqtt_parts, new_world, serial_parts
from simulators.mqtt import Address, Part, Publisher, client_identifier, forget, play
from simulators.pace import Pace
from simulators.pty import Outlet, Port, SerialPlayer
from simulators.scenario import Scenario
from simulators.tally import Tally
from simulators.tcp import TcpPort
from simulators.world import World

PATIENCE_S = 60.0
HURRY_S = 0.7
BROKER_S = 2.0  # how long devices on the broker wait for the first connection
FLUSH_S = 0.5
Play = Callable[[], Coroutine[None, None, None]]
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Runner:
    """One run of one scenario."""

    def __init__(self, scenario: Scenario, tally: Tally) -> None:
        """Prepare inside the running event loop."""
        self._scenario = scenario
        self._tally = tally
        self._pace = Pace()
        self._publisher: Publisher | None = None
        self._patience_s = PATIENCE_S
        self.unacknowledged = 0
        self.connections = 0

    async def run(self, duration_s: float | None, ready: Callable[[], None]) -> None:
        """Run for a while or until stopped; `ready` is called when all ports exist."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._interrupt)
        try:
            with ExitStack() as ports:
                await self._run(duration_s, ready, ports)
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    def _interrupt(self) -> None:
        self._patience_s = HURRY_S
        self._pace.stop()
        if self._publisher is not None:
            self._publisher.hurry(HURRY_S)

    async def _run(
        self, duration_s: float | None, ready: Callable[[], None], ports: ExitStack
    ) -> None:
        world = new_world(self._scenario)
        players = self._plug(world, ports)
        ready()
        async with asyncio.TaskGroup() as services:
            tasks = [services.create_task(self._flush(), name="record")]
            if duration_s is not None:
                tasks.append(services.create_task(self._deadline(duration_s), name="deadline"))
            if self._scenario.mqtt and duration_s != 0:
                address = Address.parse(self._scenario.broker_url)
                client_id = client_identifier(self._scenario.seed)
                self._publisher = Publisher(address, self._tally, self._pace, client_id)
                tasks.append(services.create_task(self._publisher.run(), name="broker"))
            async with asyncio.TaskGroup() as group:
                for name, play in players:
                    group.create_task(play(), name=f"serial[{name}]")
                if self._publisher is not None:
                    group.create_task(self._publish(self._publisher, world), name="mqtt")
            self._pace.stop()
            ports.close()
            if self._publisher is not None:
                await self._finish(self._publisher)
            for task in tasks:
                task.cancel()

    def _plug(self, world: World, ports: ExitStack) -> list[tuple[str, Play]]:
        players: list[tuple[str, Play]] = []
        for part in serial_parts(self._scenario, world):
            listen = part.group.listen
            port = Port(part.link) if listen is None else TcpPort(*listen)
            port.plug()
            ports.callback(port.unplug)
            players.append((part.name, self._player(port, part)))
        return players

    def _player(self, port: Outlet, part: SerialPart | AnsweringPart) -> Play:
        line = part.group.line
        if isinstance(part, AnsweringPart):
            accounts = {
                speaker: self._tally.open("serial", name) for speaker, name in part.speakers.items()
            }
            answering = AnsweringPlayer(port, line.baudrate, self._pace, self._tally, accounts)
            return partial(answering.play, part.responder)
        account = self._tally.open("serial", part.name)
        return partial(SerialPlayer(port, line, self._pace, self._tally, account).play, part.script)

    async def _publish(self, publisher: Publisher, world: World) -> None:
        parts = [
            Part(
                self._tally.open("mqtt", part.name), part.script, part.group.qos, part.group.retain
            )
            for part in mqtt_parts(self._scenario, world)
        ]
        await publisher.ready(BROKER_S)
        await play(parts, publisher, self._pace)

    async def _finish(self, publisher: Publisher) -> None:
        self.unacknowledged = await publisher.drained(self._patience_s)
        self.connections = publisher.connections
        publisher.close()
        if not self.unacknowledged and self.connections:
            address = Address.parse(self._scenario.broker_url)
            await asyncio.to_thread(forget, address, client_identifier(self._scenario.seed))

    async def _deadline(self, duration_s: float) -> None:
        await self._pace.until(self._pace.now() + duration_s)
        self._pace.stop()

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self._tally.flush()
