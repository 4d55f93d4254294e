"""Damage is a function of bytes and a generator, and a reader can always recover from it."""

import random

import pytest

from simulators import faults

LINE = b'{"tempC":21.53,"hum":45.1}\r\n'
SEEDS = range(200)


@pytest.mark.parametrize("seed", SEEDS)
def test_split_keeps_every_byte(seed: int) -> None:
    pieces = faults.split(LINE, random.Random(seed))
    assert b"".join(pieces) == LINE
    assert len(pieces) > 1
    assert all(pieces)


@pytest.mark.parametrize("damage", [faults.drop, faults.flip, faults.latin1])
def test_damage_spares_the_end_of_the_line(damage: faults.Damage) -> None:
    for seed in SEEDS:
        damaged = damage(LINE, random.Random(seed))
        assert damaged != LINE
        assert damaged.endswith(b"\r\n")
        assert damaged.count(b"\n") == 1
        assert damaged == damage(LINE, random.Random(seed))


@pytest.mark.parametrize("damage", [faults.drop, faults.flip, faults.latin1])
def test_damage_of_nothing_is_harmless(damage: faults.Damage) -> None:
    for data in (b"", b"\n"):
        assert damage(data, random.Random(1)).endswith(data)


def test_a_flip_inverts_one_bit() -> None:
    for seed in SEEDS:
        damaged = faults.flip(LINE, random.Random(seed))
        different = [a ^ b for a, b in zip(LINE, damaged, strict=True) if a != b]
        assert len(different) == 1
        assert different[0].bit_count() == 1


@pytest.mark.parametrize("noise", [faults.garbage, faults.babble])
def test_garbage_can_not_be_a_reading(noise: faults.Noise) -> None:
    for seed in SEEDS:
        data = noise(random.Random(seed))
        assert not set(data) & set(b'\r\n0123456789,;:=.{}[]" \t+-')
        assert not any(bytes([byte]).isalnum() for byte in data)
        with pytest.raises(UnicodeDecodeError):
            data.decode()


def test_a_cut_line_has_no_end() -> None:
    for seed in SEEDS:
        data = faults.cut(LINE, random.Random(seed))
        assert LINE.startswith(data)
        assert data
        assert b"\n" not in data


def test_outages_come_about_as_often_as_asked() -> None:
    rng, t, times = random.Random(1), 0.0, 0
    outage = faults.Outage(30.0, 1.0)
    while t < 30_000.0:
        t = outage.after(t, rng)
        times += 1
    assert 900 < times < 1100
    assert faults.NEVER.after(0.0, rng) == float("inf")
