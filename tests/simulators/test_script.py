"""Scripts: the same seed gives the same bytes, and every reading is accounted for."""

from collections import Counter
from dataclasses import fields, replace
from itertools import pairwise

import pytest

from simulators.faults import NEVER, Fault, Faults, Outage
from simulators.script import Step
from tests.simulators.scripts import Counting, steps, wire

EVERYTHING = Faults(
    **{field.name: 0.05 for field in fields(Faults) if field.type is float},
    silence=Outage(20.0, 5.0),
    unplug=Outage(25.0, 2.0),
    boot=True,
)
RATES = [field.name for field in fields(Faults) if field.type is float]


def numbers(of: list[Step]) -> list[int]:
    return [sent.sequence for step in of for sent in step.sent]


@pytest.mark.parametrize("seed", range(20))
def test_the_same_seed_gives_the_same_steps(seed: int) -> None:
    assert steps(EVERYTHING, seed=seed) == steps(EVERYTHING, seed=seed)
    assert wire(steps(EVERYTHING, seed=seed)) != wire(steps(EVERYTHING, seed=seed + 1))


def test_without_faults_there_is_a_line_per_interval() -> None:
    found = steps(readings=5)
    assert wire(found) == b"n=1\r\nn=2\r\nn=3\r\nn=4\r\nn=5\r\n"
    assert [step.at - found[0].at for step in found] == pytest.approx([0, 1, 2, 3, 4])
    assert not any(step.faults for step in found)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("serial", [True, False])
def test_every_reading_is_sent_once_and_in_order(seed: int, *, serial: bool) -> None:
    assert numbers(steps(EVERYTHING, seed=seed, serial=serial)) == list(range(1, 201))


@pytest.mark.parametrize("seed", range(20))
def test_what_is_not_called_damaged_is_whole(seed: int) -> None:
    found = steps(replace(EVERYTHING, drop=0.0, flip=0.0), seed=seed)  # these forge other numbers
    lines = Counter(wire(found).split(b"\n"))
    for sent in (sent for step in found for sent in step.sent if not sent.damaged):
        assert lines[b"n=%d\r" % sent.sequence] == sent.copies


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("share", [0.25, 1.0])
def test_each_fault_happens_as_often_as_asked(name: str, share: float) -> None:
    found = steps(Faults(**{name: share}, silence=NEVER, unplug=NEVER, boot=False), readings=400)
    hits = Counter(fault for step in found for fault in step.faults)
    assert set(hits) == {Fault(name)}
    per_hit = {Fault.MERGE: 2, Fault.BURST: 18}.get(Fault(name), 1)
    assert hits[Fault(name)] * per_hit > share * 400 * 0.5 / (1 + share * (per_hit - 1))
    assert hits[Fault(name)] <= 400


def test_merged_lines_share_a_write_and_split_ones_do_not() -> None:
    merged = steps(Faults(merge=1.0), readings=4)
    assert [step.data for step in merged] == [b"n=1\r\nn=2\r\n", b"n=3\r\nn=4\r\n"]
    split = steps(Faults(split=1.0), readings=4)
    assert wire(split) == wire(steps(readings=4))
    assert len(split) > 4
    assert all(step.sent == () or step.data.endswith(b"\n") for step in split)


def test_a_held_line_is_not_forgotten_at_the_end() -> None:
    assert wire(steps(Faults(merge=1.0), readings=3)) == wire(steps(readings=3))


def test_a_duplicate_is_the_same_line_or_the_same_message_again() -> None:
    assert wire(steps(Faults(duplicate=1.0), readings=2)) == b"n=1\r\nn=1\r\nn=2\r\nn=2\r\n"
    messages = steps(Faults(duplicate=1.0), readings=2, serial=False)
    assert [step.data for step in messages] == [b"n=1", b"n=1", b"n=2", b"n=2"]
    assert numbers(messages) == [1, 2]


def test_garbage_is_a_line_or_a_message_of_its_own() -> None:
    for serial in (True, False):
        found = steps(Faults(garbage=1.0), readings=20, serial=serial)
        assert [bool(step.sent) for step in found] == [False, True] * 20
        assert all(step.data.endswith(b"\r\n") is serial for step in found)


def test_the_port_disappears_in_the_middle_of_a_line_and_the_device_starts_again() -> None:
    device = Counting()
    found = steps(Faults(unplug=Outage(20.0, 3.0), boot=True), device=device)
    away = [index for index, step in enumerate(found) if step.away_s]
    assert device.resets == len(away) > 3
    for index in away:
        assert found[index].away_s == 3.0
        assert not found[index].data.endswith(b"\n")
        assert [sent.damaged for sent in found[index].sent] == [Fault.UNPLUG]
        assert found[index + 1].faults == (Fault.BOOT,)
        assert found[index + 1].at >= found[index].at + 3.0


def test_silence_is_a_gap() -> None:
    found = steps(Faults(silence=Outage(20.0, 7.0)))
    gaps = [b.at - a.at for a, b in pairwise(found)]
    silent = [step.faults == (Fault.SILENCE,) for step in found[1:]]
    assert any(silent)
    assert gaps == pytest.approx([8.0 if quiet else 1.0 for quiet in silent])


def test_a_burst_is_many_readings_at_one_instant() -> None:
    found = steps(Faults(burst=0.05))
    instants = Counter(step.at for step in found)
    assert 5 <= max(instants.values()) <= 31
    assert max(instants.values()) > 1
