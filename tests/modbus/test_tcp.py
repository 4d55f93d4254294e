"""Over TCP: a number ties an answer to its request, and a gateway may speak for its devices."""

import struct
from collections.abc import Callable

import pytest

from gateway.protocols.modbus.wires import TcpWire
from simulators.devices import Reply
from tests.modbus.bench import Run, numbers, play

FAST = 10_000_000
"""TCP has no characters that take their time."""


class Gateway:
    """Answers every register with its number, after what `change` does to number and PDU."""

    def __init__(self, change: Callable[[int, bytes], list[tuple[int, bytes]]]) -> None:
        self.change = change
        self.numbers: list[int] = []

    def receive(self, data: bytes, _t: float) -> list[Reply]:
        number, zero, length, unit, function, start, count = struct.unpack(">HHHBBHH", data)
        assert (zero, length, function) == (0, 6, 3)
        self.numbers.append(number)
        content = struct.pack(f">{count}H", *range(start, start + count))
        pdu = bytes([function, len(content)]) + content
        return [
            Reply(struct.pack(">HHHB", found, 0, len(said) + 1, unit) + said, 0.01 * (place + 1))
            for place, (found, said) in enumerate(self.change(number, pdu))
        ]


def run(gateway: Gateway, seconds: float = 9.9) -> Run:
    options = [numbers(0, 1, 500, address=255)]
    return play(options, gateway.receive, seconds, decoder="modbus_tcp", baudrate=FAST)


def test_each_request_has_its_number() -> None:
    gateway = Gateway(lambda number, pdu: [(number, pdu)])
    result = run(gateway)
    assert len(result.points) == 10
    assert gateway.numbers == list(range(1, 21))
    assert result.polls() == {"answered": 20}
    assert not result.losses()


@pytest.mark.parametrize("other", [-1, 1])
def test_an_answer_with_another_number_is_none(other: int) -> None:
    gateway = Gateway(lambda number, pdu: [(number + other, pdu)])
    result = run(gateway)
    assert not result.points
    assert result.losses().keys() == {"unasked"}
    assert result.polls().keys() == {"invalid"}


def test_a_late_answer_costs_no_waiting() -> None:
    """Nothing is held back after a time-out: the number tells."""
    late: list[tuple[int, bytes]] = []

    def change(number: int, pdu: bytes) -> list[tuple[int, bytes]]:
        if number == 1:
            late.append((number, pdu))
            return []
        return [*late, (number, pdu)]

    result = run(Gateway(change))
    assert len(result.points) == 10
    assert result.polls() == {"answered": 20, "timeouts": 1}


@pytest.mark.parametrize("code", [10, 11])
def test_a_gateway_that_cannot_reach_a_device_says_so(code: int) -> None:
    result = run(Gateway(lambda number, _: [(number, bytes([0x83, code]))]), 60.0)
    assert len(result.line.written) < 12
    assert result.polls().keys() == {"exceptions"}
    (problem,) = result.problems
    assert problem.startswith("d255 (address 255): the gateway cannot reach it, tried again every")


def test_numbers_begin_again_with_each_connection_and_after_the_last() -> None:
    wire = TcpWire()
    sealed = [wire.seal(1, b"\x03")[0].number for _ in range(0x10001)]
    assert (sealed[0], sealed[-3], sealed[-2]) == (1, 0xFFFF, 1)
    wire.restart()
    assert wire.seal(1, b"\x03")[0].number == 1
