"""Asking on a fixed grid, and when missing answers become a problem."""

import pytest

from gateway.asking import Poll, Request
from gateway.errors import ConfigError
from gateway.periodic import FAILURES_MAX, Periodic


class Clockwork(Periodic):
    """Asks with the number of the request, modulo 256."""

    def __init__(self, interval: object = "10s") -> None:
        super().__init__(interval)
        self.asked = 0

    def request(self) -> Request:
        self.asked += 1
        return Request(bytes([self.asked & 0xFF]))


def test_the_grid_begins_with_the_line_and_does_not_drift() -> None:
    asker = Clockwork()
    asker.begin(100.0)
    assert asker.ask(100.0) == Request(b"\x01")
    assert asker.ask(100.1) == 110.0
    assert asker.ask(110.7) == Request(b"\x02")
    assert asker.ask(110.7) == 120.0


def test_instants_that_passed_are_left_out() -> None:
    asker = Clockwork()
    asker.begin(0.0)
    asker.ask(0.0)
    assert asker.ask(47.0) == Request(b"\x02")
    assert asker.ask(47.0) == 50.0


@pytest.mark.parametrize("interval_s", [1.0, 1.1, 3.3])
def test_every_instant_is_asked_at_once(interval_s: float) -> None:
    asker = Clockwork(f"{interval_s}s")
    now_s = 0.1
    asker.begin(now_s)
    for _ in range(1000):
        assert isinstance(asker.ask(now_s), Request)
        due_s = asker.ask(now_s)
        assert isinstance(due_s, float)
        now_s = due_s
    assert now_s == pytest.approx(0.1 + 1000 * interval_s)


def test_a_line_that_was_opened_again_begins_anew() -> None:
    asker = Clockwork()
    asker.begin(0.0)
    asker.ask(0.0)
    asker.begin(3.0)
    assert asker.ask(3.0) == Request(b"\x02")
    assert asker.ask(3.0) == 13.0


def test_an_answer_belongs_to_the_request_before_it() -> None:
    asker = Clockwork()
    asker.begin(0.0)
    asker.ask(0.0)
    assert asker.outcome() is None
    asker.settle(Poll.ANSWERED)
    assert asker.outcome() is Poll.ANSWERED
    asker.ask(10.0)
    assert asker.outcome() is None


@pytest.mark.parametrize(
    ("poll", "words"),
    [
        (Poll.TIMEOUT, "no answer to the last 3 requests"),
        (Poll.INVALID, "no answer that can be read to the last 3 requests"),
        (Poll.EXCEPTION, "the device refused the last 3 requests"),
    ],
)
def test_several_failures_in_a_row_are_a_problem_until_an_answer_comes(
    poll: Poll, words: str
) -> None:
    asker = Clockwork()
    asker.begin(0.0)
    for number in range(FAILURES_MAX):
        assert asker.problems() == ()
        asker.ask(10.0 * number)
        asker.give_up(10.0 * number + 1.0, poll)
    asker.ask(1000.0)
    assert asker.problems() == (words,)
    asker.settle(Poll.ANSWERED)
    assert asker.problems() == ()


def test_an_answer_in_between_starts_the_count_anew() -> None:
    asker = Clockwork()
    for poll in (Poll.TIMEOUT, Poll.TIMEOUT, Poll.ANSWERED, Poll.TIMEOUT, Poll.TIMEOUT):
        asker.settle(poll)
    assert asker.problems() == ()


@pytest.mark.parametrize("interval", [10, "10", "999ms", "61min", None, ["1s"]])
def test_an_interval_is_a_duration_within_bounds(interval: object) -> None:
    with pytest.raises(ConfigError, match=r"^interval: (write a unit|allowed: a duration from)"):
        Clockwork(interval)
