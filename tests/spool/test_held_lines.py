"""A held line is read from its end, and gets the time it would have had."""

import random

import pytest

from gateway.sinks.line_protocol import encode
from gateway.spool import held
from gateway.times import FUTURE_MAX_NS, PAST_MAX_NS
from tests.spool.held_lines import NOON, SECOND, line, observation

TEXTS = [
    "",
    "7",
    " 7",
    "1 2",
    "x 1800000000000000000",
    "x 1800000000000000000 42",
    '" 5 6',
    '\\" 5 6',
    "\\",
    " ",
    '"',
    "=5 6 7",
    "a=1 2",
    "-1 -2",
    "\n8 9",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", ["t", "t 5", "5", "1800000000000000000 42", "t=1 2", '"'])
def test_a_held_line_is_read_from_its_end_whatever_stands_in_it(text: str, name: str) -> None:
    several: list[dict[str, float | str]] = [
        {name: text},
        {name: 7.0},
        {"a": 1.0, name: text},
        {name: text, "z 1": 2e16},
    ]
    for fields in several:
        for arrived_ns in (0, 1, 42 * SECOND, 10**17):
            plain = observation(fields, arrived_ns)
            assert held.dated(held.pack(plain), NOON) == encode(
                plain._replace(time_ns=NOON + arrived_ns)
            )
            date_ns = NOON + arrived_ns
            right = observation(fields, arrived_ns, date_ns - SECOND)
            assert held.dated(held.pack(right), NOON) == encode(right)
            wrong = observation(fields, arrived_ns, date_ns - 2 * PAST_MAX_NS)
            assert held.dated(held.pack(wrong), NOON) == encode(wrong._replace(time_ns=date_ns))


def test_random_lines_are_read_from_their_end() -> None:
    rng = random.Random(4)
    alphabet = '0123456789 -=",\\xn\n'
    for _ in range(5_000):
        fields = {
            "".join(rng.choices(alphabet, k=rng.randrange(1, 12))): (
                rng.choice([rng.random(), float(rng.randrange(10**18)), -1e300])
                if rng.random() < 0.4
                else "".join(rng.choices(alphabet, k=rng.randrange(25)))
            )
            for _ in range(rng.randrange(1, 4))
        }
        device = "".join(rng.choices(alphabet, k=8)) or "x"
        arrived_ns = rng.randrange(10 ** rng.randrange(1, 17))
        made = observation(fields, arrived_ns, device=device)
        assert held.dated(held.pack(made), NOON) == encode(made._replace(time_ns=NOON + arrived_ns))
        stated = observation(fields, arrived_ns, NOON + arrived_ns - 5, device=device)
        assert held.dated(held.pack(stated), NOON) == encode(stated)


@pytest.mark.parametrize(
    ("late_ns", "is_believed"),
    [
        (0, True),
        (PAST_MAX_NS, True),
        (PAST_MAX_NS + 1, False),
        (-FUTURE_MAX_NS, True),
        (-FUTURE_MAX_NS - 1, False),
    ],
)
def test_a_device_s_time_is_judged_as_if_it_had_arrived_with_a_date(
    *, late_ns: int, is_believed: bool
) -> None:
    date_ns = NOON + 7 * SECOND
    found = held.dated(line(7 * SECOND, date_ns - late_ns), NOON)
    assert found.endswith(b" %d" % (date_ns - late_ns if is_believed else date_ns))


def test_with_a_time_of_day_a_line_is_a_line() -> None:
    made = observation({"t": 1.5}, NOON, NOON - 5)
    assert held.pack(made) == encode(made)
