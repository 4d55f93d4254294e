"""Which registers are read together."""

import random

from gateway.protocols.modbus.blocks import Block, Limits, plan, split
from gateway.protocols.modbus.pdu import Table
from gateway.protocols.modbus.registers import Register

LIMITS = Limits(size=10, gap=3)


def register(address: int, kind: str = "uint16", table: Table = Table.INPUT) -> Register:
    return Register(f"{table}{address}", address, kind, table=table)


def spans(blocks: list[Block]) -> list[tuple[int, int]]:
    return [(block.span.start, block.span.count) for block in blocks]


def test_neighbours_are_joined_over_a_small_gap_only() -> None:
    assert spans(plan(map(register, (0, 1, 5, 9)), LIMITS)) == [(0, 10)]
    assert spans(plan(map(register, (0, 4, 8)), LIMITS)) == [(0, 9)]
    assert spans(plan(map(register, (0, 1, 6)), LIMITS)) == [(6, 1), (0, 2)]


def test_no_block_is_larger_than_the_device_takes() -> None:
    assert spans(plan(map(register, range(12)), LIMITS)) == [(10, 2), (0, 10)]


def test_a_value_is_never_split() -> None:
    pairs = [register(address, "float32") for address in range(0, 14, 2)]
    assert spans(plan(pairs, Limits(size=5, gap=0))) == [(12, 2), (0, 4), (4, 4), (8, 4)]


def test_tables_are_apart_and_bits_count_less() -> None:
    bits = [register(address, "bool", Table.COIL) for address in (0, 40, 159)]
    words = [register(0), register(0, table=Table.HOLDING)]
    blocks = plan([*bits, *words], LIMITS)
    assert {(block.span.table, block.span.start, block.span.count) for block in blocks} == {
        (Table.COIL, 0, 41),
        (Table.COIL, 159, 1),
        (Table.INPUT, 0, 1),
        (Table.HOLDING, 0, 1),
    }


def test_what_is_separate_is_read_alone() -> None:
    alone = Register("alone", 1, separate=True)
    assert spans(plan([register(0), alone, register(2)], LIMITS)) == [(0, 1), (1, 1), (2, 1)]


def test_the_shortest_comes_first() -> None:
    sizes = [block.span.data_size for block in plan(map(register, (0, 1, 2, 50, 90, 91)), LIMITS)]
    assert sizes == [2, 4, 6]


def test_values_are_found_in_their_block() -> None:
    (block,) = plan([register(2), register(4, "uint32"), register(3)], LIMITS)
    data = bytes.fromhex("0002 0003 00040005")
    assert block.values(data) == {"input2": 2, "input3": 3, "input4": 0x40005}


def test_bits_are_found_in_their_block() -> None:
    (block,) = plan([register(n, "bool", Table.DISCRETE) for n in (3, 10, 12)], LIMITS)
    assert block.span.data_size == 2
    assert block.values(b"\x81\x02") == {"discrete3": True, "discrete10": True, "discrete12": True}
    assert block.values(b"\x7e\x01") == {
        "discrete3": False,
        "discrete10": False,
        "discrete12": False,
    }


def test_the_gaps_of_a_refused_block_go_first_then_it_is_halved() -> None:
    (block,) = plan(map(register, (0, 1, 3, 4, 5)), LIMITS)
    left, right = split(block)
    assert spans([left, right]) == [(0, 2), (3, 3)]
    assert spans(split(right)) == [(3, 1), (4, 2)]
    assert split(split(left)[0]) == []


def test_any_plan_reads_each_register_once_within_the_limits() -> None:
    rng = random.Random(1)
    for _ in range(300):
        kinds = ["uint16", "float32", "int64"]
        wanted = {
            address: register(address, rng.choice(kinds))
            for address in (rng.randrange(200) for _ in range(30))
        }
        limits = Limits(size=rng.randint(4, 40), gap=rng.randint(0, 10))
        blocks = plan(wanted.values(), limits)
        while blocks:
            read = [each.name for block in blocks for each in block.registers]
            assert sorted(read) == sorted(each.name for each in wanted.values())
            for block in blocks:
                assert block.span.count <= limits.size
                assert all(block.span.start <= each.address for each in block.registers)
                assert all(each.end <= block.span.end for each in block.registers)
            smaller = [split(block) for block in blocks]
            blocks = [part for parts in smaller for part in parts] if all(smaller) else []
