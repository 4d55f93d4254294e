"""What a broker is asked for, and how a line with a poller ends."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NoReturn

import pytest

from gateway.asking import Write
from gateway.config.sources import Mqtt
from gateway.errors import TransportError
from gateway.settings import broker_settings
from gateway.sources import _ask
from gateway.transports.mqtt import Subscription
from simulators import virtual_time
from simulators.devices import Reply
from tests.polled import Line


def test_a_subscription_within_another_is_not_asked_for() -> None:
    entry = Mqtt.model_validate(
        {
            "name": "home",
            "url": "mqtt://localhost",
            "qos": 0,
            "subscribe": [
                {"topic": "s/{room}/t", "decoder": "value", "qos": 1, "retained": True},
                {"topic": "s/#", "decoder": "json"},
                {"topic": "elsewhere/+", "decoder": "value"},
            ],
        }
    )
    assert broker_settings(entry, "id").subscriptions == [
        Subscription("s/#", qos=1, retained=True),
        Subscription("elsewhere/+", qos=0, retained=False),
    ]


class Port:
    """Open for `lasts_s`, then unplugged; what `opened` gets to write goes to the line's device."""

    def __init__(self, line: Line, lasts_s: float) -> None:
        self.line = line
        self.lasts_s = lasts_s
        self.closed_s = -1.0

    async def run(
        self, opened: Callable[[Write], None], receive: Callable[[bytes], None]
    ) -> NoReturn:
        self.line.deliver = receive
        opened(self.line.write)
        try:
            await asyncio.sleep(self.lasts_s)
            raise TransportError("unplugged")
        finally:
            self.closed_s = self.line.loop.time()


class NoPort:
    async def run(self, *_: object) -> NoReturn:
        raise TransportError("no such port")


def silent(_data: bytes, _t: float) -> list[Reply]:
    return []


def half(_data: bytes, _t: float) -> list[Reply]:
    return [Reply(b"\xff\x86\x02")]


@pytest.mark.parametrize(("respond", "counter"), [(silent, "timeouts"), (half, "invalid")])
def test_a_port_that_ends_takes_the_request_with_it(
    respond: Callable[[bytes, float], list[Reply]], counter: str
) -> None:
    async def main() -> None:
        line = Line("mhz19", respond, baudrate=9_600)
        port = Port(line, lasts_s=10.5)
        with pytest.raises(TransportError, match="unplugged"):
            await _ask(port, line.intake, line.poller)
        await asyncio.sleep(100.0)
        account = line.account
        assert (account.polls, account.outstanding, getattr(account, counter)) == (2, 0, 2)
        assert account.bytes_buffered == 0
        assert account.connections == 1
        assert len(line.written) == 2
        assert line.balanced()

    virtual_time.run(main())


def test_a_port_that_does_not_open_is_not_asked() -> None:
    async def main() -> None:
        line = Line("mhz19", silent, baudrate=9_600)
        with pytest.raises(TransportError, match="no such port"):
            await _ask(NoPort(), line.intake, line.poller)
        assert (line.account.connections, line.account.polls) == (0, 0)

    virtual_time.run(main())


def test_a_decoder_that_fails_at_asking_closes_the_port() -> None:
    async def main() -> None:
        line = Line("mhz19", silent, baudrate=9_600)
        port = Port(line, lasts_s=1000.0)
        line.poller._asker.ask = partial(_fail, "a bug")  # type: ignore[method-assign]
        with pytest.raises(RuntimeError, match="a bug"):
            await _ask(port, line.intake, line.poller)
        assert 0.0 <= port.closed_s < 1.0

    virtual_time.run(main())


def _fail(words: str, _now_s: float) -> NoReturn:
    raise RuntimeError(words)


def test_the_end_of_the_gateway_ends_the_line() -> None:
    async def main() -> None:
        line = Line("mhz19", silent, baudrate=9_600)
        port = Port(line, lasts_s=1000.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10.5):
                await _ask(port, line.intake, line.poller)
        assert port.closed_s == 10.5
        assert (line.account.polls, line.account.timeouts) == (2, 2)
        assert line.balanced()

    virtual_time.run(main())
