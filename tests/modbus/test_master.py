"""The bus master: what is asked when, and which answers count; on a line in virtual time."""

from itertools import pairwise

import pytest

from simulators import virtual_time
from simulators.bus import Bus
from simulators.devices import Reply
from tests.modbus.bench import SILENCE, Asked, Numbers, Point, Run, bus, numbers, play
from tests.polled import Line

FAR = 500
"""Too far from register 0 to be read with it."""


def values(points: list[Point]) -> list[dict[str, object]]:
    return [dict(point.fields) for point in points]


def play_one(device: Numbers, *registers: int, seconds: float, **more: object) -> Run:
    return play([numbers(*registers, address=device.address, **more)], device.receive, seconds)


# ---------------------------------------------------------------------- beats


def test_neighbours_are_read_together_and_a_beat_is_one_point() -> None:
    device = Numbers()
    run = play_one(device, 0, 1, 5, FAR, seconds=2.9)
    assert [asked[1:] for asked in device.asked] == [(FAR, 1), (0, 6)] * 3
    assert values(run.points) == [{"r0": 0.0, "r1": 1.0, "r5": 5.0, "r500": 500.0}] * 3
    assert run.polls() == {"answered": 6}


def test_beats_stay_on_their_grid() -> None:
    """However long the answers take: 0.05 to 0.25 s."""
    device = Numbers(rule=lambda asked: [Reply(device.answer(asked), 0.05 + asked.at_s % 1 / 5)])
    play_one(device, 0, seconds=100.5)
    starts = [asked.at_s for asked in device.asked]
    assert len(starts) == 101
    assert all(abs(start % 1 - starts[1] % 1) < 1e-6 for start in starts[1:])


def test_devices_are_spread_over_the_interval() -> None:
    devices = [Numbers(address) for address in (1, 2, 3, 4)]
    run = play([numbers(0, address=n) for n in (1, 2, 3, 4)], Bus("b", devices).receive, 1.9)
    starts = [device.asked[1].at_s for device in devices]
    assert starts == pytest.approx([1.008, 1.258, 1.508, 1.758], abs=0.001)
    assert len(run.points) == 8


def test_a_long_interval_is_spread_over_a_second_only() -> None:
    devices = [Numbers(address) for address in (1, 2)]
    options = [numbers(0, address=n, interval="1h") for n in (1, 2)]
    run = play(options, Bus("b", devices).receive, 2.0)
    assert [point.device for point in run.points] == ["d1", "d2"]


def test_a_device_states_its_measurement_and_tags() -> None:
    more = {"measurement": "climate", "tags": {"location": "cellar"}}
    (point,) = play_one(Numbers(), 0, seconds=0.9, **more).points
    assert (point.device, point.measurement, point.tags) == ("d1", "climate", more["tags"])


# ---------------------------------------------------------------------- silence


def test_one_lost_answer_is_asked_for_again() -> None:
    lost = [True]
    device = Numbers(rule=lambda _: SILENCE if lost and lost.pop() else None)
    run = play_one(device, 0, seconds=0.9)
    assert len(run.points) == 1
    assert run.polls() == {"answered": 1, "timeouts": 1}
    assert not run.problems


def test_a_dead_device_is_tried_ever_less_often_and_is_back_with_its_first_answer() -> None:
    device = Numbers(rule=lambda asked: SILENCE if asked.at_s < 500 else None)
    run = play_one(device, 0, FAR, seconds=600.0, timeout="300ms")
    tries = [asked.at_s for asked in device.asked if asked.at_s < 500]
    pauses = [after - before for before, after in pairwise(tries)]
    assert pauses[-3:] == pytest.approx([60.0] * 3, abs=1.0)
    assert len(tries) < 20
    (first, *_) = run.points
    assert 500 < first.at_s < 562
    assert {*first.fields} == {"r0", "r500"}
    assert run.intervals("d1")[1:] == pytest.approx([1.0] * (len(run.points) - 2))
    assert run.intervals("d1")[0] > 0.5
    assert not run.problems


def test_whoever_rests_is_tried_at_once_when_the_line_is_opened_again() -> None:
    device = Numbers(rule=lambda asked: SILENCE if asked.at_s < 100 else None)

    async def main() -> int:
        options = {"devices": [numbers(0)]}
        line = Line("modbus", device.receive, baudrate=9600, options=options)
        await line.run(100.5)
        await line.run(0.9)
        return len(await line.observations())

    assert virtual_time.run(main()) == 1


def test_a_dead_device_is_named() -> None:
    run = play_one(Numbers(rule=lambda _: SILENCE), 0, seconds=30.0)
    assert run.problems == ["d1 (address 1): no answer, tried again every 16 s"]


def test_a_device_that_answers_garbage_is_named() -> None:
    run = play_one(Numbers(rule=lambda _: [Reply(b"\x00\x01\x02garbage")]), 0, seconds=30.0)
    assert run.problems == ["d1 (address 1): garbage instead of an answer, tried again every 16 s"]
    assert run.polls().keys() == {"invalid"}


def test_trials_cost_nobody_else_a_beat() -> None:
    dead, well = Numbers(1, rule=lambda _: SILENCE), Numbers(2)
    options = [numbers(0, address=1, timeout="5s"), numbers(0, address=2)]
    run = play(options, Bus("b", [dead, well]).receive, 400.0)
    quarantined = next(asked.at_s for asked in dead.asked[4:])
    later = [p.at_s for p in run.of("d2") if p.at_s > quarantined]
    assert max(b - a for a, b in pairwise(later)) < 1.05
    assert len(dead.asked) > 10


def test_a_trial_that_finds_no_gap_is_made_anyhow() -> None:
    """The other device is always due."""
    dead = Numbers(1, rule=lambda asked: SILENCE if asked.at_s < 100 else None)
    busy = Numbers(2, delay_s=0.3)
    options = [numbers(0, address=1), numbers(0, address=2, interval="100ms")]
    run = play(options, Bus("b", [dead, busy]).receive, 200.0)
    assert run.of("d1")


def test_a_device_slower_than_a_trial_is_known_by_its_late_answer() -> None:
    """It takes 400 ms, and trials on this line wait for 100 ms only."""
    slow = Numbers(1, rule=lambda asked: SILENCE if asked.at_s < 60 else None, delay_s=0.4)
    busy = Numbers(2, delay_s=0.05)
    options = [numbers(0, address=1, interval="10s"), numbers(0, address=2, interval="250ms")]
    run = play(options, Bus("b", [slow, busy]).receive, 300.0)
    assert len(run.of("d1")) > 10


# ---------------------------------------------------------------------- blocks that fail


@pytest.mark.parametrize("silent", [0, FAR])
def test_a_block_that_fails_costs_the_others_nothing(silent: int) -> None:
    """Whether it is the first or the last of a beat."""
    device = Numbers(rule=lambda asked: SILENCE if asked.start == silent else None)
    run = play_one(device, 0, 1, FAR, seconds=200.0, interval="5s", timeout="200ms")
    other = {"r500": 500.0} if silent == 0 else {"r0": 0.0, "r1": 1.0}
    assert len(run.points) == 40
    assert all(fields == other for fields in values(run.points))
    tried = [asked for asked in device.asked if asked.start == silent]
    assert len(tried) < 14
    (problem,) = run.problems
    place = "holding 0 to 1" if silent == 0 else "holding 500"
    assert problem == f"d1 (address 1): no answer for {place}"


def test_a_refused_block_is_split_and_the_missing_register_remembered() -> None:
    def rule(asked: Asked) -> int | None:
        return 2 if 5 in asked.span else None

    device = Numbers(rule=rule)
    run = play_one(device, *range(8), seconds=100.0)
    wanted = {f"r{n}": float(n) for n in range(8) if n != 5}
    assert len(run.points) == 100
    assert all(fields == wanted for fields in values(run.points))
    assert run.polls()["exceptions"] == 4
    assert {asked[1:] for asked in device.asked[-3:]} == {(0, 4), (4, 1), (6, 2)}
    assert run.problems == ["d1 (address 1): illegal data address for holding 5"]


def test_what_a_device_does_not_have_is_asked_for_again_once_in_a_while() -> None:
    """A device may refuse everything while it starts."""
    device = Numbers(rule=lambda asked: 2 if asked.at_s < 5 and asked.start == 3 else None)
    run = play_one(device, 0, 3, seconds=700.0, read_gap=0)
    assert [point.at_s > 600 for point in run.points if "r3" in point.fields] == [True] * 99


def test_unwanted_registers_that_do_not_exist_are_read_no_more() -> None:
    device = Numbers(rule=lambda asked: 2 if 2 in asked.span else None)
    run = play_one(device, 0, 1, 4, 5, seconds=20.0)
    assert values(run.points) == [{"r0": 0.0, "r1": 1.0, "r4": 4.0, "r5": 5.0}] * 20
    assert run.polls()["exceptions"] == 1
    assert not run.problems


def test_a_device_that_is_busy_is_asked_again() -> None:
    device = Numbers(rule=lambda _: 6 if len(device.asked) % 2 else None)
    run = play_one(device, 0, seconds=9.9)
    assert len(run.points) == 10
    assert run.polls() == {"answered": 10, "exceptions": 10}
    assert not run.problems


def test_a_device_that_cannot_is_asked_less_often_and_named() -> None:
    run = play_one(Numbers(rule=lambda _: 4), 0, seconds=30.0)
    assert run.problems == ["d1 (address 1): device failure for every register"]
    assert run.losses()["exception"] == run.polls()["exceptions"]


# ---------------------------------------------------------------------- whose answer


def test_a_late_answer_is_not_taken_for_that_to_another_block_of_the_same_shape() -> None:
    """The answers to the first block come 0.3 s after its time, when another one is asked for."""

    def rule(asked: Asked) -> list[Reply] | None:
        return [Reply(device.answer(asked), 0.8)] if asked.start == 0 else None

    device = Numbers(rule=rule)
    run = play_one(device, 0, FAR, seconds=100.0, retries=0, interval="2s")
    assert run.points
    assert all(
        f.get("r0", 0.0) == 0.0 and f.get("r500", 500.0) == 500.0 for f in values(run.points)
    )
    assert run.losses()["unasked"] > 0


@pytest.mark.parametrize(
    "frame",
    [
        Numbers(2).answer(Asked(0.0, 0, 1)),
        Numbers(1).answer(Asked(0.0, 0, 2)),
        Numbers(1).answer(Asked(0.0, 0, 1), 4),
        Numbers(2).frame(b"\x83\x02"),
    ],
    ids=["another device", "another length", "another function", "exception of another device"],
)
def test_an_answer_to_something_else_is_not_taken(frame: bytes) -> None:
    run = play_one(Numbers(rule=lambda _: [Reply(frame)]), 0, seconds=0.9, retries=0)
    assert not run.points
    assert run.polls() == {"invalid": 1}
    assert run.losses() == {"unasked": 1}


def test_an_adapter_that_repeats_our_requests_does_no_harm() -> None:
    variants = ["sdm120@1", "epever@2", "pzem004t@3"]
    options = [
        {"name": name, "address": n + 1, "template": name, "interval": "2s"}
        for n, name in enumerate(("sdm120", "epever", "pzem004t"))
    ]
    run = play(options, bus(*variants, echo=True).receive, 20.0)
    plain = play(options, bus(*variants).receive, 20.0)
    assert values(run.points) == values(plain.points)
    assert run.polls() == plain.polls()
    assert run.losses() == {"echo": run.polls()["answered"]}
    assert not run.problems


def test_another_master_is_noticed_and_its_answers_are_not_ours() -> None:
    """Just after our request it asks the same device for a block of the same shape."""
    other = Numbers(1)
    theirs = other.frame(b"\x03\x00\x64\x00\x01")

    def rule(asked: Asked) -> list[Reply]:
        answer = other.answer(Asked(0.0, 0x64, 1))
        return [Reply(theirs), Reply(answer, 0.02), Reply(other.answer(asked), 0.1)]

    run = play_one(Numbers(rule=rule), 0, seconds=5.9)
    assert values(run.points) == [{"r0": 0.0}] * 6
    assert run.losses() == {"unasked": 12}
    assert run.problems == ["another master, or a device that nobody knows, talks on this line"]


def test_a_device_at_its_general_address_answers_with_its_own() -> None:
    device = Numbers(0xF8, rule=lambda asked: [Reply(Numbers(7).answer(asked))])
    assert values(play_one(device, 3, seconds=0.9).points) == [{"r3": 3.0}]


def test_a_damaged_answer_is_refused_and_asked_for_again() -> None:
    def rule(asked: Asked) -> list[Reply] | None:
        answer = bytearray(device.answer(asked))
        answer[4] ^= 1
        return [Reply(bytes(answer))] if len(device.asked) == 1 else None

    device = Numbers(rule=rule)
    run = play_one(device, 0, seconds=0.9)
    assert values(run.points) == [{"r0": 0.0}]
    assert run.polls() == {"answered": 1, "invalid": 1}
    assert run.points[0].at_s < 0.2  # the time-out is not waited for


def test_noise_around_an_answer_does_no_harm() -> None:
    device = Numbers(rule=lambda asked: [Reply(b"\x00\xff" + device.answer(asked) + b"\x00")])
    run = play_one(device, 0, seconds=9.9)
    assert values(run.points) == [{"r0": 0.0}] * 10
    assert run.polls() == {"answered": 10}


# ---------------------------------------------------------------------- too much for the line


def test_a_line_with_too_much_to_do_skips_beats_fairly_and_says_so() -> None:
    """Ten devices that take 0.27 s each, every second."""
    devices = [Numbers(address, delay_s=0.25) for address in range(1, 11)]
    options = [numbers(0, address=address) for address in range(1, 11)]
    run = play(options, Bus("b", devices).receive, 300.0)
    counts = [len(device.asked) for device in devices]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) > 0.9 * 300 / 0.28
    (problem,) = run.problems
    assert "beats were skipped: too many devices or too short intervals" in problem


def test_a_short_interval_goes_before_a_long_one_and_the_long_one_does_not_starve() -> None:
    slow = Numbers(1, delay_s=0.3)
    fast = Numbers(2, delay_s=0.02)
    options = [
        numbers(*range(0, 1000, 100), address=1, interval="10s"),
        numbers(0, address=2, interval="1s"),
    ]
    run = play(options, Bus("b", [slow, fast]).receive, 100.0)
    assert len(run.of("d1")) == 10
    assert len(run.of("d2")) == 100
    assert max(run.intervals("d2")) < 1.4
    assert not run.problems


def test_a_device_that_is_always_too_late_rests_too_and_is_told_from_a_dead_one() -> None:
    slow, well = Numbers(1, delay_s=0.7), Numbers(2)
    options = [numbers(0, address=1, retries=0), numbers(0, address=2)]
    run = play(options, Bus("b", [slow, well]).receive, 300.0)
    assert len(slow.asked) < 30
    assert len(run.of("d2")) > 290
    words = "d1 (address 1): answers come too late (timeout), tried again every 60 s"
    assert run.problems == [words]


def test_a_device_that_always_says_something_else_rests_too() -> None:
    """Its frames are well formed, and not what was asked for."""
    device = Numbers(rule=lambda asked: [Reply(device.answer(asked._replace(size=2)))])
    run = play_one(device, 0, seconds=300.0)
    assert len(device.asked) < 20
    assert run.problems == ["d1 (address 1): garbage instead of an answer, tried again every 60 s"]


def test_an_answer_after_its_time_is_none() -> None:
    """It comes in the gap that is kept after the time-out."""
    device = Numbers(rule=lambda asked: [Reply(b"\xff"), Reply(device.answer(asked), 0.5045)])
    run = play_one(device, 0, seconds=0.9, retries=0)
    assert not run.points
    assert run.polls() == {"invalid": 1}
