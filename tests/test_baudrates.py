"""Which rate is listened to next: the rule alone."""

from gateway.baudrates import BYTES, COMMON, DOUBT_S, LISTEN_S, REQUESTS, BaudrateSearch


def search() -> BaudrateSearch:
    return BaudrateSearch([4800, 9600, 300])


def found() -> BaudrateSearch:
    """At 4800 baud, with one good frame at 5 s."""
    one = search()
    one.opened(0.0, 0)
    assert one.heard(5.0, 80, 1) is None
    assert one.is_found
    return one


def test_each_rate_has_its_chance_in_turn_and_again() -> None:
    one = search()
    rates = []
    for _ in range(7):
        rates.append(one.rate)
        assert one.opened(100.0, 0) == 100 + LISTEN_S
        one.give_up()
    assert rates == [4800, 9600, 300, 4800, 9600, 300, 4800]


def test_a_meter_that_speaks_every_ten_seconds_is_heard() -> None:
    assert LISTEN_S > 10
    assert set(COMMON) >= {9600, 115_200, 2400}


def test_a_chance_ends_early_when_nothing_but_garbage_comes() -> None:
    one = search()
    one.opened(0.0, 7)
    assert one.heard(1.0, BYTES - 1, 7) == LISTEN_S
    assert one.heard(2.0, 1, 7) == 2.0
    one.give_up()
    assert one.opened(2.0, 7) == 2 + LISTEN_S
    assert one.heard(3.0, 1, 7) == 2 + LISTEN_S


def test_a_chance_ends_early_when_requests_are_not_answered() -> None:
    one = search()
    one.opened(0.0, 0)
    assert [one.asked(float(n)) for n in range(REQUESTS)] == [LISTEN_S] * REQUESTS
    assert one.asked(9.0) == 9.0


def test_frames_of_an_earlier_rate_prove_nothing() -> None:
    one = search()
    one.opened(0.0, 3)
    one.heard(1.0, 10, 3)
    assert not one.is_found


def test_what_was_found_stays_over_silence_reopening_and_a_little_garbage() -> None:
    one = found()
    assert one.heard(6.0, BYTES - 1, 1) is None
    assert one.heard(90_000.0, 40, 2) is None
    assert one.opened(200_000.0, 2) is None
    for _ in range(10 * REQUESTS):
        assert one.asked(200_001.0) is None
    assert one.heard(200_002.0, BYTES - 1, 2) is None
    assert one.rate == 4800


def test_garbage_alone_and_for_long_is_a_reason_to_look_again() -> None:
    one = found()
    assert one.heard(10.0, BYTES, 1) == 5 + DOUBT_S
    assert one.heard(11.0, 80, 2) is None, "a good frame after all"
    assert one.heard(12.0, BYTES, 2) == 11 + DOUBT_S
    one.give_up()
    assert (one.rate, one.is_found) == (9600, False)
    assert one.opened(71.0, 2) == 71 + LISTEN_S
