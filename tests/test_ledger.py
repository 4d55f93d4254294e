"""The ledger's equations, and that each of them can fail."""

import pytest

from gateway.ledger import EXAMPLE_BYTES, Account, Latency, Ledger, Stage
from gateway.model import Reason, Totals


def balanced_account(ledger: Ledger) -> Account:
    """An account in which every counter is in use and everything adds up."""
    account = ledger.account("mast", "serial")
    account.bytes_received, account.bytes_framed, account.bytes_buffered = 100, 80, 5
    ledger.lose(account, Stage.NOISE, Reason.NOT_TEXT, b"\xff", now_ns=1, count=15)
    account.frames, account.decoded, account.state = 10, 6, 1
    ledger.lose(account, Stage.MALFORMED, Reason.SYNTAX, b"x", now_ns=1)
    ledger.lose(account, Stage.IGNORED, Reason.RETAINED, now_ns=1)
    ledger.lose(account, Stage.REPEATED_FRAME, Reason.REDELIVERED, now_ns=1)
    account.quantities, account.fields = 20, 19
    ledger.lose(account, Stage.REFUSED, Reason.NAN, "t = nan", now_ns=1)
    account.readings, account.observations = 8, 6
    ledger.lose(account, Stage.IMPLAUSIBLE, Reason.NO_FIELDS, now_ns=1)
    ledger.lose(account, Stage.REPEATED, Reason.SAME_POINT, now_ns=1)
    account.uncommitted, account.spooled = 2, 3
    ledger.lose(account, Stage.SHED, Reason.SPOOL_FULL, now_ns=1)
    return account


TOTALS = Totals(spooled=103, retried=1, delivered=90, dead=2, evicted=3, corrupt=4, pending=5)
OPENING = Totals(spooled=100, retried=1, delivered=80, dead=2, evicted=3, corrupt=4, pending=12)


def test_what_adds_up_is_balanced() -> None:
    ledger = Ledger()
    ledger.open_store(OPENING)
    balanced_account(ledger)
    assert ledger.imbalances(TOTALS) == []
    assert ledger.balanced(TOTALS)
    assert ledger.lines(TOTALS) == {
        "spooled": 3,
        "inherited": 12,
        "retried": 0,
        "delivered": 10,
        "dead": 0,
        "evicted": 0,
        "corrupt": 0,
        "pending": 5,
    }


@pytest.mark.parametrize(
    "counter",
    sorted(
        set(Account("", "").counts())
        - {"connections", "malformed_elements", "device_times"}  # stand in no equation
    ),
)
def test_every_counter_is_part_of_an_equation(counter: str) -> None:
    ledger = Ledger()
    ledger.open_store(OPENING)
    account = balanced_account(ledger)
    setattr(account, counter, getattr(account, counter) + 1)
    assert not ledger.balanced(TOTALS)


def test_a_line_that_disappears_from_the_store_is_noticed() -> None:
    ledger = Ledger()
    ledger.open_store(OPENING)
    balanced_account(ledger)
    assert not ledger.balanced(Totals(spooled=103, retried=1, delivered=90, pending=4))


def test_a_loss_keeps_its_last_example_short_and_printable() -> None:
    ledger = Ledger()
    account = ledger.account("mast", "serial")
    ledger.lose(account, Stage.MALFORMED, Reason.SYNTAX, b"first", now_ns=1)
    ledger.lose(account, Stage.MALFORMED, Reason.SYNTAX, b"\x00\xff\n" * 1000, now_ns=2)
    loss = ledger.losses["mast", Stage.MALFORMED, Reason.SYNTAX]
    assert loss.count == 2
    assert loss.at_ns == 2
    assert loss.example.startswith("\\x00\\xff\\n")
    assert loss.example.isprintable()
    assert len(loss.example) <= 4 * EXAMPLE_BYTES


@pytest.mark.parametrize("duration_us", [0, 1, 7, 8, 15, 16, 17, 100, 12_345, 10**7, 10**12])
def test_a_latency_quantile_is_within_an_eighth(duration_us: int) -> None:
    latency = Latency()
    latency.add(duration_us * 1000)
    quantile = latency.quantile_s(0.99)
    assert quantile is not None
    assert duration_us <= quantile * 1e6 <= duration_us * 1.125 + 1


def test_latency_quantiles_are_ordered_and_none_without_durations() -> None:
    latency = Latency()
    assert latency.quantile_s(0.5) is None
    for milliseconds in range(1, 101):
        latency.add(milliseconds * 1_000_000)
    median, high = latency.quantile_s(0.5), latency.quantile_s(0.99)
    assert median is not None
    assert high is not None
    assert 0.049 < median < 0.058
    assert 0.098 < high < 0.113


def test_a_clock_that_steps_back_does_not_break_the_histogram() -> None:
    latency = Latency()
    latency.add(-5)
    assert latency.quantile_s(1.0) == pytest.approx(1e-6)
