"""Faults of a scenario, each at its time, and the end of all of them."""

from collections.abc import Sequence
from typing import Protocol

from tests.simulation.database import Trouble
from tests.simulation.devices import Speaker
from tests.simulation.edges import Sites
from tests.simulation.scenario import Fault, Kind, Scenario
from tests.simulation.world import Moment, World

BACKLOG_S = 5.0
"""How long a burst of messages takes."""


class Supervised(Protocol):
    """The gateway's process as faults see it."""

    def kill(self, why: str) -> None: ...

    def restart(self) -> None: ...

    def stay_down(self, seconds: float) -> None: ...


class Faults:
    """Lets everything go wrong that a scenario has planned."""

    def __init__(
        self,
        world: World,
        sites: Sites,
        gateway: Supervised,
        speakers: Sequence[Speaker],
        scenario: Scenario,
    ) -> None:
        self._world, self._sites, self._gateway = world, sites, gateway
        self._speakers = speakers
        self._autosave_s = scenario.autosave_s
        self._rng = world.chance("faults")
        self._over = False
        for fault in scenario.faults:
            world.later(fault.at_s, self._begin, fault)
        world.later(scenario.autosave_s, self._autosave)

    def make_well(self) -> None:
        """Nothing is wrong from now on, and nobody says anything new."""
        self._world.note("all is well from now on")
        self._over = True
        self._world.armed = None
        for speaker in self._speakers:
            speaker.stop()
        for broker in self._sites.brokers.values():
            broker.start()
            broker.stall_s = 0.0
        for port in self._sites.ports.values():
            port.plug()
        self._mend_disk()
        self._mend_database()
        self._sites.machine.synchronize()

    def _begin(self, fault: Fault) -> None:
        if self._over:
            return
        self._world.note("fault", fault.kind.format(where=fault.where), fault.lasts_s)
        if fault.where in self._sites.brokers:
            self._break_broker(fault)
        elif fault.where in self._sites.ports:
            port = self._sites.ports[fault.where]
            port.unplug()
            self._world.later(fault.lasts_s, port.plug)
        elif fault.kind is Kind.DATABASE:
            self._sites.database.trouble = Trouble(fault.where)
            self._sites.database.share = fault.amount
            self._world.later(fault.lasts_s, self._mend_database)
        elif fault.kind is Kind.CLOCK:
            self._sites.machine.step(fault.amount)
        elif fault.kind in (Kind.KILL, Kind.KILL_AT, Kind.RESTART, Kind.POWER):
            self._break_process(fault)
        else:
            self._break_disk(fault)
            self._world.later(fault.lasts_s, self._mend_disk)

    def _break_broker(self, fault: Fault) -> None:
        site = self._sites.brokers[fault.where]
        match fault.kind:
            case Kind.CUT:
                site.cut()
            case Kind.REFUSE:
                site.away = True
                site.cut()
                self._world.later(fault.lasts_s, site.start)
            case Kind.RESTART_BROKER:
                site.stop(site.sessions.restart)
                self._world.later(fault.lasts_s, site.start)
            case Kind.CRASH_BROKER:
                site.stop(site.sessions.crash)
                self._world.later(fault.lasts_s, site.start)
            case Kind.LOSE_SESSIONS:
                site.stop(lambda: site.sessions.crash(lose_sessions=True))
                self._world.later(fault.lasts_s, site.start)
            case Kind.STALL:
                site.stall_s = fault.amount
                self._world.later(fault.lasts_s, lambda: setattr(site, "stall_s", 0.0))
            case _:
                speakers = [s for s in self._speakers if s.site is site]
                for _ in range(int(fault.amount)):
                    speaker = self._rng.choice(speakers)
                    self._world.later(self._rng.uniform(0.0, BACKLOG_S), speaker.speak)

    def _break_process(self, fault: Fault) -> None:
        self._gateway.stay_down(fault.lasts_s)
        if fault.kind is Kind.KILL:
            self._gateway.kill("at any time")
        elif fault.kind is Kind.POWER:
            self._gateway.kill("no power")
            self._sites.machine.start_again(fault.amount)
            self._world.later(fault.lasts_s + fault.delay_s, self._sites.machine.synchronize)
        elif fault.kind is Kind.KILL_AT:
            self._world.armed = Moment(fault.where)
        else:
            self._gateway.restart()

    def _break_disk(self, fault: Fault) -> None:
        sites = self._sites
        match fault.kind:
            case Kind.DISK_FULL:
                sites.disk.problem = "the disk is full"
            case Kind.DISK_FAILS:
                sites.disk.problem = "the disk cannot be read or written"
            case Kind.DISK_SLOW:
                sites.disk_slow_s = fault.amount
            case _:
                sites.disk.others = sites.disk.free - 500_000

    def _mend_disk(self) -> None:
        self._sites.disk.problem = ""
        self._sites.disk.others = 0
        self._sites.disk_slow_s = 0.0

    def _mend_database(self) -> None:
        self._sites.database.trouble = Trouble.NONE

    def _autosave(self) -> None:
        if not self._over:
            for broker in self._sites.brokers.values():
                broker.sessions.save()
            self._world.later(self._autosave_s, self._autosave)
