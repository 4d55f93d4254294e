"""Shares of the memory, where one message takes all of it."""

from gateway.admission import Admission, WhenFull
from gateway.ledger import Account
from gateway.model import Reason
from tests.fakes import Wire


def test_a_message_larger_than_all_memory_neither_pauses_nor_sheds_sources_with_nothing() -> None:
    admission = Admission(1_000)
    large, flood = Wire(), Wire()
    giant = admission.inlet(Account("giant", "mqtt"), WhenFull.BLOCK, valve=large)
    inlet = admission.inlet(Account("flood", "mqtt"), WhenFull.BLOCK, valve=flood)
    admission.take(inlet, 600)
    assert flood.paused
    admission.take(giant, 5_000)
    admission.give_back(inlet, 600)
    admission.yield_to(-1.0, "")
    assert not flood.paused, "a new connection of its would not be paused again"
    quiet = admission.inlet(Account("mast", "serial"), WhenFull.DROP_NEWEST)
    assert admission.refusal(quiet) is None
    admission.take(quiet, 100)
    assert admission.refusal(quiet) is Reason.DISK_SLOW
