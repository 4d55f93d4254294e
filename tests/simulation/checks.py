"""What must hold while the gateway lives, and what must have become of everything in the end."""

from collections import defaultdict

from gateway.app import Gateway
from gateway.errors import StoreError
from tests.simulation.book import Book
from tests.simulation.brokers import READ_PACKETS
from tests.simulation.edges import Sites
from tests.simulation.process import Process
from tests.simulation.scenario import Scenario
from tests.simulation.world import World

SLACK_BYTES = 10_000
"""What is read at a time from each broker, and the units of new fields, come on top of it."""


CALLS_MIN = 200
CALLS_PER_TICK = 4
CALLS_PER_ARRIVAL = 4
"""Commit, read, settle; some of them again while the disk fails."""


class Inspector:
    """Looks at the gateway at every commit, every minute, and at the end of each of its runs."""

    def __init__(self, world: World, book: Book, sites: Sites, scenario: Scenario) -> None:
        self._world, self._book, self._sites, self._scenario = world, book, sites, scenario
        self._shed: defaultdict[str, int] = defaultdict(int)
        """By source, of all processes that are gone."""
        self._runs = 0
        self._arrivals = 0
        self.drained_s = 0.0
        self._most: defaultdict[str, float] = defaultdict(float)

    def committed(self, process: Process) -> None:
        """A group is on disk, and its messages are acknowledged."""
        gateway = process.gateway
        if gateway is None or not process.alive:
            return
        for imbalance in gateway.imbalances():
            self._world.violate(f"the ledger does not balance: {imbalance}")
        for source, missing in self._book.not_stored.items():
            account = gateway.ledger.accounts.get(source)
            shed = self._shed[source] + (account.shed if account else 0)
            if missing > shed:
                self._world.violate(
                    f"{missing} readings of {source} are acknowledged and on no disk, {shed} were "
                    f"counted shed; the last one is {self._book.last_not_stored}"
                )
        self.look(process)

    def look(self, process: Process) -> None:
        """Memory and disk are within their bounds."""
        gateway = process.gateway
        if gateway is None or not process.alive:
            return
        scenario = self._scenario
        memory, used = _uncommitted_bytes(gateway), self._sites.disk.used
        bounds = {
            "uncommitted bytes": (memory, gateway.store.group_bytes_max + SLACK_BYTES),
            "bytes on disk": (used, scenario.max_bytes),
            "unacknowledged messages": (
                max(site.unacknowledged_max for site in self._sites.brokers.values()),
                scenario.max_unacknowledged + READ_PACKETS,
            ),
        }
        for name, (found, bound) in bounds.items():
            self._most[name] = max(self._most[name], found)
            if found > bound:
                self._world.violate(f"{found} {name}, at most {bound} are allowed")

    def ask_for_idleness(self, process: Process, seconds: float) -> None:
        """What the store is asked depends on what arrives and on the clock, and on nothing else."""
        calls, process.store_calls = process.store_calls, 0
        arrivals, self._arrivals = self._book.arrivals - self._arrivals, self._book.arrivals
        scenario = self._scenario
        ticks = seconds / scenario.commit_interval_s + seconds / scenario.flush_interval_s
        bound = CALLS_MIN + CALLS_PER_TICK * ticks + CALLS_PER_ARRIVAL * arrivals
        if process.alive and calls > bound:
            self._world.violate(
                f"the store was asked {calls} times in {seconds:g} s, in which {arrivals} readings "
                f"arrived; at most {bound:.0f} are called for"
            )

    def count(self, process: Process) -> None:
        """The process is about to be gone: remember what it has counted."""
        self._runs += 1
        if process.gateway is not None:
            for account in process.gateway.ledger.accounts.values():
                self._shed[account.source] += account.shed

    def ended(self, process: Process, error: BaseException | None) -> None:
        """The process has ended by itself."""
        self.count(process)
        if isinstance(error, StoreError):
            return  # the store could not be opened: its supervisor tries again
        if error is not None:
            self._world.violate(f"the gateway ended: {error!r}")
            return
        gateway = process.gateway
        if gateway is None:
            return
        accounts = gateway.ledger.accounts.values()
        if not any(account.uncommitted for account in accounts):  # else a commit was given up
            for imbalance in gateway.imbalances():
                self._world.violate(f"the ledger does not balance at the end: {imbalance}")
        lost: defaultdict[str, int] = defaultdict(int)
        for reading in process.heard:
            lost[reading.source] += not reading.points
        for source, count in lost.items():
            account = gateway.ledger.accounts[source]
            if count > account.shed + account.uncommitted:
                self._world.violate(f"{count} lines of {source} are neither on disk nor counted")

    def waiting(self, process: Process) -> list[str]:
        """What is not home yet, in words."""
        gateway = process.gateway
        if gateway is None or not process.alive:
            return ["the gateway does not run"]
        found = [
            f"{site.waiting()} messages at {site.name}"
            for site in self._sites.brokers.values()
            if site.waiting()
        ]
        if pending := gateway.store.totals().pending:
            found.append(f"{pending} lines in the spool")
        if uncommitted := sum(a.uncommitted for a in gateway.ledger.accounts.values()):
            found.append(f"{uncommitted} observations in memory")
        return found + gateway.problems()

    def close(self) -> None:
        """After the end of the last process."""
        self._book.close(self._sites.disk.lines())
        totals = self._sites.disk.totals
        if totals.dead != self._book.dead():
            self._world.violate(f"{totals.dead} lines are counted dead, {self._book.dead()} are")
        if totals.evicted != self._book.evictions:
            self._world.violate(
                f"{totals.evicted} lines are counted evicted, {self._book.evictions} are"
            )

    def figures(self) -> dict[str, float]:
        return {
            "readings": self._book.readings,
            "acknowledged": self._book.acknowledged,
            "points": self._book.points(),
            "dead": self._book.dead(),
            "evicted": self._book.evictions,
            "shed": sum(self._shed.values()),
            "runs": self._runs,
            "drained after": self.drained_s,
            "events": self._world.trace.count,
            **self._most,
        }


def _uncommitted_bytes(gateway: Gateway) -> int:
    return gateway.committer.admission._uncommitted
