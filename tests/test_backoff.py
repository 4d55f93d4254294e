"""Delays grow, stay below their limit, spread out, and repeat with their seed."""

from random import Random

from gateway.backoff import Backoff


class Highest(Random):
    """Always draws the upper end, so that a test sees the range."""

    def uniform(self, a: float, b: float) -> float:
        assert a == 0.0
        return b


def test_the_range_doubles_up_to_the_limit_and_starts_anew_after_a_success() -> None:
    backoff = Backoff(0.5, 3.0, Highest())
    assert [backoff.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.next_s() == 0.5


def test_years_of_failures_do_not_overflow() -> None:
    backoff = Backoff(1.0, 60.0, Highest())
    assert [backoff.next_s() for _ in range(5000)][-1] == 60.0


def test_two_clients_that_failed_together_do_not_come_back_together() -> None:
    one, other = Backoff(1.0, 60.0, Random(1)), Backoff(1.0, 60.0, Random(2))
    pairs = [(one.next_s(), other.next_s()) for _ in range(20)]
    assert all(a != b for a, b in pairs)
    assert max(map(max, pairs)) <= 60.0


def test_a_seed_repeats_itself() -> None:
    first, second = Backoff(1.0, 60.0, Random(7)), Backoff(1.0, 60.0, Random(7))
    assert [first.next_s() for _ in range(10)] == [second.next_s() for _ in range(10)]
