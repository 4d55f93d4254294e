"""Batches shrink to what the server takes and grow again once it takes more."""

from random import Random

import pytest

from gateway.batch_size import PATIENCE_MAX, BatchSize


def send(batch: BatchSize, limit: int, count: int) -> tuple[int, int]:
    """Send full batches to a server with a limit: how many it took and how many it refused."""
    taken = refused = 0
    for _ in range(count):
        if batch.bytes <= limit:
            batch.delivered(batch.bytes)
            taken += 1
        else:
            batch.too_much(batch.bytes)
            refused += 1
    return taken, refused


def test_the_size_halves_down_to_the_least_and_no_further() -> None:
    batch = BatchSize(1_000, 100)
    sizes = []
    for _ in range(5):
        batch.too_much(batch.bytes)
        sizes.append(batch.bytes)
    assert sizes == [500, 250, 125, 100, 100]


def test_a_small_batch_that_was_too_much_says_how_small_the_next_must_be() -> None:
    batch = BatchSize(1_000, 100)
    batch.too_much(400)
    assert batch.bytes == 200
    batch.too_much(900)
    assert batch.bytes == 200


def test_a_limit_that_stays_costs_ever_fewer_requests() -> None:
    batch = BatchSize(1_000_000, 100)
    _, refused = send(batch, 70_000, 1_000)
    assert refused <= 12
    _, refused = send(batch, 70_000, 10 * PATIENCE_MAX)
    assert refused <= 10


@pytest.mark.parametrize("before", [0, 100, 10_000])
def test_the_size_grows_back_once_the_limit_is_gone(before: int) -> None:
    batch = BatchSize(1_000_000, 100)
    send(batch, 70_000, before)
    send(batch, 0, 20)
    assert batch.bytes == 100
    taken, _ = send(batch, 1_000_000, PATIENCE_MAX + 100)
    assert taken == PATIENCE_MAX + 100
    assert batch.bytes == 1_000_000
    assert not batch.is_reduced


def test_small_batches_say_nothing_about_the_limit() -> None:
    batch = BatchSize(1_000, 100)
    batch.too_much(1_000)
    for _ in range(10_000):
        batch.delivered(249)
    assert batch.bytes == 500


def test_a_configured_size_below_the_least_is_kept() -> None:
    batch = BatchSize(50, 100)
    batch.too_much(50)
    assert batch.bytes == 50


def test_the_size_stays_inside_its_bounds_whatever_happens() -> None:
    for seed in range(200):
        rng = Random(seed)
        batch = BatchSize(1_000, 100)
        for _ in range(300):
            size = rng.randrange(1, 2_000)
            (batch.delivered if rng.random() < 0.8 else batch.too_much)(size)
            assert 100 <= batch.bytes <= 1_000
            assert batch.fits(batch.bytes)
