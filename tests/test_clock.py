"""When the time of day is believed, and what stands in its place until then."""

import ctypes
import sys
import time
from collections.abc import Callable

import pytest

from gateway import clock as clock_module
from gateway.clock import KernelClock, SystemClock, kernel_says_synchronized
from gateway.times import FLOOR_NS, is_since_boot
from tests.fakes import NOON, Machine

SECOND = 10**9


def test_nothing_is_trusted_before_it_is_set_up() -> None:
    clock = SystemClock(Machine())
    assert clock() == 42 * SECOND
    assert is_since_boot(clock())


def test_a_synchronized_clock_is_the_time_of_day() -> None:
    clock = Machine().clock()
    assert clock() == NOON
    assert not is_since_boot(clock())
    assert clock.problem == ""


def test_until_it_is_synchronized_times_count_from_the_start_of_the_machine() -> None:
    machine = Machine(synchronized=False)
    clock = machine.clock()
    machine.advance(1)
    assert clock() == 43 * SECOND
    assert clock.problem == "the clock is not synchronized"
    assert clock.resolve(clock()) == clock()


async def test_from_the_first_synchronization_on_it_is_trusted_for_good(
    look: Callable[[Machine], None],
) -> None:
    machine = Machine(synchronized=False)
    clock = machine.clock()
    look(machine)
    assert await clock.watch() == NOON + 7 * SECOND - (42 + 3) * SECOND
    assert clock() == NOON + 7 * SECOND
    assert clock.resolve(43 * SECOND) == NOON + 5 * SECOND
    machine.synchronized = False
    looks = machine.looks
    machine.step(-100)
    assert await clock.watch() == NOON - 38 * SECOND
    assert (clock() - NOON, machine.looks) == (-93 * SECOND, looks)


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine], None]:
    """Between two looks a second passes; after the third the machine is set, and synchronized."""

    def prepare(machine: Machine) -> None:
        passed: list[float] = []

        async def sleep(seconds: float) -> None:
            passed.append(seconds)
            machine.advance(seconds)
            if len(passed) == 3:
                machine.step(4)
                machine.synchronized = True

        monkeypatch.setattr("gateway.clock.asyncio.sleep", sleep)

    return prepare


def test_when_the_machine_has_been_up_for_long_enough_nothing_better_is_waited_for() -> None:
    machine = Machine(synchronized=False, up_ns=600 * SECOND - 1)
    assert is_since_boot(machine.clock()())
    machine.up_ns += 1
    assert machine.clock()() == NOON


def test_an_isolated_machine_is_trusted_at_once() -> None:
    machine = Machine(synchronized=False)
    assert machine.clock(trust=True)() == NOON
    assert machine.looks == 0


@pytest.mark.parametrize("time_ns", [0, 946_684_800 * SECOND, FLOOR_NS - 1, -SECOND])
@pytest.mark.parametrize("synchronized", [True, False])
def test_a_time_of_day_before_2025_is_never_believed(*, time_ns: int, synchronized: bool) -> None:
    machine = Machine(time_ns, synchronized=synchronized, up_ns=10**6 * SECOND)
    clock = machine.clock(trust=True, wait_s=0.0)
    assert clock() == 10**6 * SECOND
    assert clock.problem.startswith("the clock stands at ")
    assert clock.problem.endswith(", which cannot be")
    machine.time_ns = FLOOR_NS
    clock.set_up(trust=True, wait_s=0.0)
    assert clock() == FLOOR_NS


def test_a_trusted_clock_that_falls_back_to_1970_is_not_followed() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.advance(10)
    machine.time_ns = 5
    assert clock() == NOON + 10 * SECOND
    machine.time_ns = NOON - 100
    assert clock() == NOON - 100


def test_the_date_of_the_start_is_in_whole_microseconds() -> None:
    machine = Machine(NOON + 1_234_567, up_ns=42 * SECOND + 89)
    offset_ns = machine.clock().offset_ns
    assert offset_ns is not None
    assert offset_ns % 1000 == 0
    assert 0 <= machine.time_ns - machine.up_ns - offset_ns < 1000


def test_what_never_was_has_no_date() -> None:
    clock = Machine().clock()
    assert clock.resolve(0) == 0
    assert clock.resolve(NOON - 5) == NOON - 5


# ----------------------------------------------------------------------------- this machine


def test_this_machine_tells_its_run_from_others_and_counts_steadily() -> None:
    kernel = KernelClock()
    assert kernel.boot == KernelClock().boot
    assert len(kernel.boot) == 36
    before, monotonic = kernel.since_boot_ns(), time.monotonic_ns()
    assert 0 < before <= kernel.since_boot_ns()
    assert before >= monotonic - SECOND, "since the start, sleep included"
    assert is_since_boot(before)
    assert abs(kernel.time_of_day_ns() - time.time_ns()) < SECOND


class _WholeTimex(ctypes.Structure):
    """The kernel's structure as adjtimex(2) shows it, written from there: a second opinion."""

    _fields_ = (
        *((name, ctypes.c_long) for name in ("modes_padded", "offset", "freq", "maxerror")),
        *(("esterror", ctypes.c_long), ("status", ctypes.c_int), ("constant", ctypes.c_long)),
        *((name, ctypes.c_long) for name in ("precision", "tolerance", "sec", "usec", "tick")),
        *((name, ctypes.c_long) for name in ("ppsfreq", "jitter", "shift_padded", "stabil")),
        *((name, ctypes.c_long) for name in ("jitcnt", "calcnt", "errcnt", "stbcnt")),
        *(("tai", ctypes.c_int), ("padding", ctypes.c_int * 11)),
    )


@pytest.mark.skipif(sys.platform != "linux", reason="adjtimex is Linux's")
def test_the_kernel_is_understood() -> None:
    """What else it fills in is what it must be, so the status is where we read it."""
    timex = _WholeTimex()
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    assert 0 <= state <= 5
    assert abs(timex.sec - time.time()) < 5
    assert 9_000 <= timex.tick <= 11_000
    assert kernel_says_synchronized() is (state != 5 and not timex.status & 0x40)
    assert ctypes.sizeof(clock_module._Timex) >= ctypes.sizeof(_WholeTimex)


class _Library:
    """A C library whose adjtimex answers what it is told."""

    def __init__(self, state: int, status: int) -> None:
        self._state, self._status = state, status

    def adjtimex(self, reference: object) -> int:
        reference._obj.status = self._status  # type: ignore[attr-defined]
        return self._state


@pytest.mark.skipif(sys.platform != "linux", reason="adjtimex is Linux's")
@pytest.mark.parametrize(
    ("state", "status", "synchronized"),
    [
        (0, 0x2001, True),  # kept by an NTP daemon
        (5, 0x40, False),  # nobody keeps it
        (5, 0x0, False),
        (0, 0x40, False),
        (1, 0x1, True),  # a leap second is announced
        (-1, 0x40, True),  # it may not be asked: nobody knows
    ],
)
def test_every_answer_of_the_kernel(
    monkeypatch: pytest.MonkeyPatch, *, state: int, status: int, synchronized: bool
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: _Library(state, status))
    assert kernel_says_synchronized() is synchronized


def test_where_nobody_can_be_asked_the_clock_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert kernel_says_synchronized()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert kernel_says_synchronized()
