import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import AsyncIterator

import pytest

from gateway.spool.worker import Worker


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    worker = Worker("test")
    yield worker
    worker.close(5)


async def test_a_call_returns_what_the_function_returns_in_one_other_thread(
    worker: Worker,
) -> None:
    assert await worker.call(divmod, 17, 5) == (3, 2)
    first = await worker.call(threading.get_ident)
    assert first == await worker.call(threading.get_ident) != threading.get_ident()


async def test_a_call_raises_what_the_function_raises_and_the_worker_goes_on(
    worker: Worker,
) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await worker.call(int, "x")
    with pytest.raises(SystemExit):
        await worker.call(sys.exit, 3)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await worker.call(next, iter(()))
    assert await worker.call(int, "7") == 7


async def test_calls_run_in_the_order_they_were_made(worker: Worker) -> None:
    order: list[int] = []
    await asyncio.gather(*(worker.call(order.append, n) for n in range(100)))
    assert order == list(range(100))


async def test_the_loop_goes_on_while_a_call_blocks(worker: Worker) -> None:
    gate = threading.Event()
    blocked = asyncio.ensure_future(worker.call(gate.wait, 5))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not blocked.done()
    gate.set()
    assert await blocked is True


async def test_cancelling_the_await_lets_the_function_run_to_its_end(worker: Worker) -> None:
    gate = threading.Event()
    done: list[str] = []
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    blocked = asyncio.ensure_future(worker.call(gate.wait, 5))
    queued = asyncio.ensure_future(worker.call(done.append, "queued"))
    await asyncio.sleep(0)
    for task in (blocked, queued):
        task.cancel()
    await asyncio.gather(blocked, queued, return_exceptions=True)
    assert blocked.cancelled()
    assert queued.cancelled()
    gate.set()
    await worker.call(done.append, "later")
    assert done == ["queued", "later"]
    assert complaints == []


async def test_closing_lets_the_calls_made_before_finish() -> None:
    worker = Worker("test")
    done: list[int] = []
    calls = [asyncio.ensure_future(worker.call(done.append, n)) for n in range(3)]
    await asyncio.sleep(0)
    assert worker.close(5)
    assert done == [0, 1, 2]
    await asyncio.gather(*calls)
    with pytest.raises(RuntimeError, match="closed"):
        await worker.call(int)


async def test_closing_leaves_a_call_that_hangs_behind() -> None:
    worker = Worker("test")
    gate = threading.Event()
    hanging = asyncio.ensure_future(worker.call(gate.wait, 5))
    await asyncio.sleep(0)
    assert not worker.close(0)
    gate.set()
    await hanging


def test_a_loop_that_ends_before_the_call_does_no_harm() -> None:
    worker = Worker("test")
    gate = threading.Event()
    done: list[int] = []

    async def leave() -> None:
        blocked = asyncio.ensure_future(worker.call(gate.wait, 5))
        queued = asyncio.ensure_future(worker.call(done.append, 1))
        await asyncio.sleep(0)
        blocked.cancel()
        queued.cancel()

    asyncio.run(leave())
    gate.set()
    assert worker.close(5), "the thread survives the closed loop"
    assert done == [1]


async def test_nothing_of_a_call_is_kept_afterwards(worker: Worker) -> None:
    class Rows(list[int]):
        pass

    await worker.call(len, Rows())
    await worker.call(int)
    gc.collect()
    assert not [found for found in gc.get_objects() if isinstance(found, Rows)]


def test_a_disk_that_hangs_does_not_keep_the_process_alive() -> None:
    hang = """
import asyncio, threading
from gateway.spool.worker import Worker
async def main():
    worker = Worker("disk")
    call = asyncio.ensure_future(worker.call(threading.Event().wait))
    await asyncio.sleep(0)
    print(worker.close(0))
asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", hang], timeout=20, check=True, capture_output=True
    )
    assert ended.stdout == b"False\n"
