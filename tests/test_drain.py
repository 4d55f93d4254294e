"""A backlog after an outage: in the order that was asked for, and never in the way of live data."""

import asyncio

import pytest

from tests.test_delivery import Server, Spool, make, run


def arrivals(server: Server) -> list[int]:
    """The numbers of the lines, in the order in which they were stored."""
    return [int(line.split(b" ")[1]) for line in server.stored]


@pytest.mark.parametrize("newest_first", [False, True])
def test_what_comes_in_now_is_never_behind_a_backlog(*, newest_first: bool) -> None:
    backlog = 6_000
    spool = Spool([[b"old %04d " % n + b"x" * 80] for n in range(backlog)])
    server = Server(request_s=0.1)
    waits: list[float] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        delivery = make(spool, server, batch_bytes=1_000, newest_first=newest_first)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(delivery.run())
            for n in range(15):
                spool.append(b"new %04d" % (backlog + n))
                delivery.notify()
                since = loop.time()
                while backlog + n not in arrivals(server)[-100:]:  # noqa: ASYNC110 - likewise
                    await asyncio.sleep(0.01)
                waits.append(loop.time() - since)
                await asyncio.sleep(0.77)
            assert len(spool.rows) > backlog // 2, "the backlog is still there"
            while spool.rows:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.1)
            task.cancel()

    run(scenario())
    assert max(waits) <= 1.0 + 3 * 0.1 + 0.02, "a flush interval, and the requests under way"
    assert sorted(arrivals(server)) == list(range(backlog + 15)), "each once"
    old = [n for n in arrivals(server) if n < backlog]
    assert (sum(old[:600]) / 600 > backlog / 2) == newest_first
