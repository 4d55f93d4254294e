"""What the crash tests rest on: each kind of difference is found, and blamed on who caused it."""

from collections.abc import Collection, Mapping, Sequence

from tests.load.findings import MESSAGES_REMEMBERED, Findings, Point, Published, compare
from tests.load.publisher import publish, reading
from tests.load.tap import Delivery, Tap

FIRST = Delivery(7, 1, 70, duplicate=False, at_ns=100)
AGAIN = Delivery(7, 2, 70, duplicate=True, at_ns=200)
ANEW = Delivery(7, 2, 71, duplicate=False, at_ns=200)


def point(at_ns: int, number: int = 7) -> Point:
    return Point(at_ns, reading(number))


def found(
    deliveries: Sequence[Delivery],
    points: Sequence[Point],
    *,
    acknowledged: Collection[int] = (7,),
    by_broker: Collection[int] = (7,),
    again: Mapping[int, int] | None = None,
) -> Findings:
    """What is said of reading 7."""
    published = Published(range(7, 8), by_broker, again or {})
    return compare(published, deliveries, acknowledged, {7: points} if points else {})


def test_once_is_fine() -> None:
    findings = found([FIRST], [point(150)])
    assert findings == Findings()
    assert not findings.faults()
    assert not findings.gone
    assert not findings.stored_twice


def test_what_the_gateway_acknowledged_must_be_there() -> None:
    findings = found([FIRST], [])
    assert findings.lost == findings.gone == [7]
    assert findings.faults() == ["1 lost: [7]"]


def test_what_only_the_broker_acknowledged_is_its_own_loss() -> None:
    assert found([FIRST], [], acknowledged=()).not_acknowledged == [7]
    assert found([], [], acknowledged=()).not_handed_over == [7]
    assert found([], [], acknowledged=(), by_broker=()) == Findings()


def test_a_marked_repetition_must_be_recognized() -> None:
    assert found([FIRST, AGAIN], [point(150), point(250)]).twice == [7]
    assert found([FIRST, AGAIN], [point(150)]).recognized == 1
    assert found([FIRST, AGAIN], [point(250)]).recognized == 0, "lost with the first process"


def test_a_repetition_that_nobody_can_recognize_is_excused() -> None:
    twice = [point(150), point(250)]
    assert found([FIRST, ANEW], twice).handed_over_twice == [7]
    assert found([FIRST, ANEW], twice, again={7: 1}).published_twice == [7]
    assert found([FIRST, ANEW], [*twice, point(260)]).twice == [7]
    others = [
        Delivery(n, 1, n, duplicate=False, at_ns=150) for n in range(100, 101 + MESSAGES_REMEMBERED)
    ]
    assert found([FIRST, *others, AGAIN], twice).handed_over_twice == [7]


def test_altered_and_made_up_readings_are_found() -> None:
    assert found([FIRST], [point(150, number=8)]).altered == [7]
    published = Published(range(7, 8), (), {})
    assert compare(published, [], (), {8: [point(1)]}).made_up == [8]


def test_the_tap_understands_any_portions() -> None:
    tap = Tap(0)
    up, down = tap.ears()
    for byte in b"\x20\x02\0\0" + publish(5, 300) + publish(6, 301, duplicate=True):
        down(bytes([byte]))
    up(b"\x40\x02\x01\x2c")
    assert [(d.number, d.identifier, d.duplicate) for d in tap.deliveries] == [
        (5, 300, False),
        (6, 301, True),
    ]
    assert tap.acknowledged == {5}
    assert tap.waiting == {301: 6}
