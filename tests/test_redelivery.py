"""A message is recognized as long as its identifier can be its own, and never taken for another."""

from gateway.redelivery import REMEMBERED, Ring

IDENTIFIERS = 65_535


def digest(number: int) -> bytes:
    return number.to_bytes(8, "big")


def identifier(number: int) -> int:
    """As a broker counts."""
    return number % IDENTIFIERS + 1


def test_the_last_messages_are_known_by_identifier_and_digest() -> None:
    ring = Ring()
    for number in range(100_000):
        ring.add(identifier(number), digest(number))
    last = range(100_000 - REMEMBERED, 100_000)
    assert all(ring.knows(identifier(number), digest(number)) for number in last)
    assert not ring.knows(identifier(last[0] - 1), digest(last[0] - 1))
    assert not ring.knows(identifier(99_999), digest(99_998))
    assert not ring.knows(identifier(100_000), digest(100_000 - IDENTIFIERS)), "half a turn ago"


def test_the_same_payload_again_is_new_when_its_identifier_comes_round() -> None:
    """Devices say the same thing again and again; a message that never reached us is another."""
    ring = Ring()
    for number in range(IDENTIFIERS):
        ring.add(identifier(number), digest(0))
    assert not ring.knows(identifier(IDENTIFIERS), digest(0))
    assert not ring.knows(identifier(IDENTIFIERS + 20_000), digest(0))


def test_nothing_is_known_at_first_and_after_the_session_is_lost() -> None:
    ring = Ring([(7, digest(1)), (8, digest(2))])
    assert ring.knows(7, digest(1))
    assert ring.knows(8, digest(2))
    ring.clear()
    assert not ring.knows(7, digest(1))
    assert not ring.knows(0, digest(0))
    assert not ring.knows(9, digest(0))
