"""The machine that the gateway runs on: its clocks, and its starts.

The time of day may be wrong, step, and be put right; the time since the start rises steadily.
Started again the machine does not know the time until somebody tells it.
"""

from tests.simulation.world import SECOND_NS, World


class Machine:
    """A `gateway.clock.ClockSource`."""

    def __init__(self, world: World, *, up_s: float) -> None:
        self._world = world
        self._starts = 1
        self._started_ns = -round(up_s * SECOND_NS)
        self._error_ns = 0
        self._is_synchronized = True
        self.start_dates: set[int] = set()
        """What a process may take for the date of the machine's start."""
        self._note_start_date()

    @property
    def boot(self) -> str:
        return f"start {self._starts}"

    def time_of_day_ns(self) -> int:
        return self._world.true_ns() + self._error_ns

    def since_boot_ns(self) -> int:
        return self._world.elapsed_ns() - self._started_ns

    def is_synchronized(self) -> bool:
        return self._is_synchronized

    def step(self, seconds: float) -> None:
        """Somebody sets the clock."""
        self._error_ns += round(seconds * SECOND_NS)
        self._world.note("clock steps by", seconds)
        self._note_start_date()

    def start_again(self, error_s: float) -> None:
        """Power comes back; the clock shows something."""
        self._starts += 1
        self._started_ns = self._world.elapsed_ns()
        self._is_synchronized = False
        self._error_ns = round(error_s * SECOND_NS)
        self._world.note("machine starts, its clock wrong by", error_s)
        self.start_dates.clear()
        self._note_start_date()

    def synchronize(self) -> None:
        """A time server answers."""
        if not self._is_synchronized:
            self._is_synchronized = True
            self.step(-self._error_ns / SECOND_NS)

    def _note_start_date(self) -> None:
        date_ns = self.time_of_day_ns() - self.since_boot_ns()
        self.start_dates.add(date_ns // 1000 * 1000)
