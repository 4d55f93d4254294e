"""Hours in no time, in one order, and an error instead of waiting for ever."""

import asyncio
import time

import pytest

from simulators import virtual_time
from simulators.virtual_time import ROUNDS_MAX, DeadlockError, LivelockError


def test_a_day_takes_no_time() -> None:
    async def main() -> float:
        await asyncio.sleep(86_400.0)
        return asyncio.get_running_loop().time()

    started = time.monotonic()
    assert virtual_time.run(main()) == 86_400.0
    assert time.monotonic() - started < 5.0


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def main() -> list[tuple[float, str]]:
        loop = asyncio.get_running_loop()
        fired: list[tuple[float, str]] = []

        def note(name: str) -> None:
            fired.append((loop.time(), name))

        for when, name in ((2.0, "c"), (1.0, "a"), (2.0, "d"), (1.5, "b")):
            loop.call_at(when, note, name)
        await asyncio.sleep(3.0)
        return fired

    assert virtual_time.run(main()) == [(1.0, "a"), (1.5, "b"), (2.0, "c"), (2.0, "d")]


def test_timers_of_one_instant_fire_as_they_were_set_whatever_was_cancelled() -> None:
    async def main(cancelled: int) -> list[int]:
        loop = asyncio.get_running_loop()
        fired: list[int] = []
        for number in range(20):
            for _ in range(cancelled):
                loop.call_at(5.0, fired.append, -1).cancel()
            loop.call_at(5.0, fired.append, number)
        await asyncio.sleep(6.0)
        return fired

    for cancelled in range(4):
        assert virtual_time.run(main(cancelled)) == list(range(20))


def test_time_outs_and_task_groups_work_as_usual() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60.0):
                await asyncio.Event().wait()
        async with asyncio.TaskGroup() as tasks:
            for seconds in (1.0, 3.0, 2.0):
                tasks.create_task(asyncio.sleep(seconds))
        return loop.time()

    assert virtual_time.run(main()) == 63.0


def test_a_past_instant_is_now() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(10.0)
        fired = asyncio.Event()
        loop.call_at(1.0, fired.set)
        await fired.wait()
        return loop.time()

    assert virtual_time.run(main()) == 10.0


def test_waiting_for_ever_is_an_error() -> None:
    async def main() -> None:
        await asyncio.sleep(5.0)
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError, match=r"at 5\.000000 s nothing is ready"):
        virtual_time.run(main())


def test_going_on_without_time_passing_is_an_error() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        def again() -> None:
            loop.call_soon(again)

        again()
        await asyncio.sleep(1.0)

    with pytest.raises(LivelockError, match=f"{ROUNDS_MAX} rounds"):
        virtual_time.run(main())


def test_work_between_two_instants_has_no_bound_on_its_sum() -> None:
    async def main() -> None:
        for _ in range(3):
            for _ in range(ROUNDS_MAX - 10):
                await asyncio.sleep(0)
            await asyncio.sleep(1e-9)

    virtual_time.run(main())


def test_there_are_no_threads() -> None:
    async def main() -> None:
        await asyncio.to_thread(time.time)

    with pytest.raises(NotImplementedError, match="no threads"):
        virtual_time.run(main())


def test_there_are_no_sockets() -> None:
    async def main() -> None:
        await asyncio.open_connection("127.0.0.1", 9)

    with pytest.raises(NotImplementedError):
        virtual_time.run(main())
