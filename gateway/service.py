"""The gateway as a service: signals, systemd, console, and leaving without waiting for threads."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from gateway import app, systemd
from gateway.config.models import Config
from gateway.console.server import serve as serve_console
from gateway.errors import EXIT_FAILED, GatewayError
from gateway.transports.serial_ports import raise_open_file_limit

log = logging.getLogger(__name__)

LAST_RESORT_S = 4.5
"""After a signal the process is gone by then, whatever hangs: what is committed is safe."""


async def run_service(config: Config) -> None:
    """Run until SIGTERM or SIGINT."""
    raise_open_file_limit()
    stop = stop_on_signals(last_resort_s=LAST_RESORT_S)

    async def serve(gateway: app.Gateway) -> None:
        log.info("running, with %d sources", len(gateway.sources))
        systemd.notify("READY=1")
        async with asyncio.TaskGroup() as group:
            group.create_task(systemd.keep_alive())
            group.create_task(
                serve_console(gateway, config.console.listen, Path(config.gateway.data_dir))
            )

    await app.run(config, stop, serve)
    log.info("stopped")


def stop_on_signals(*, last_resort_s: float | None = None) -> asyncio.Event:
    """An event that SIGTERM, SIGINT and SIGHUP set; the second SIGINT ends the process at once.

    SIGHUP comes when the terminal is closed; under `nohup` it stays ignored.

    Args:
        last_resort_s: leave the process that long after the first signal in any case; None: wait.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        log.info("stopping")
        systemd.notify("STOPPING=1")
        stop.set()
        if last_resort_s is not None:
            loop.call_later(last_resort_s, _leave_anyway)
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGTERM, on_signal)
    loop.add_signal_handler(signal.SIGINT, on_signal)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, on_signal)
    return stop


def _leave_anyway() -> None:
    """A disk that hangs while the store is opened or salvaged, for one, cannot be waited for."""
    log.error("something hangs: leaving without it; what was committed is safe")
    _flush()
    os._exit(EXIT_FAILED)


def run_and_leave(coroutine: Coroutine[Any, Any, None]) -> NoReturn:
    """Run to the end and leave the process without joining threads.

    A thread may hang in a look-up or in a driver for minutes. When the coroutine has returned all
    state is on disk and closed, so nothing is lost by leaving it behind; `asyncio.run` and the
    interpreter's own end would wait for it.
    """
    code = EXIT_FAILED
    runner = asyncio.Runner()
    try:
        runner.run(coroutine)
        code = 0
    except KeyboardInterrupt:
        pass
    except GatewayError as error:
        sys.stderr.write(f"{error}\n")
        code = error.exit_code
    except BaseExceptionGroup as group:
        _say_why(group)
    finally:
        _flush()
    os._exit(code)


def _say_why(group: BaseExceptionGroup[BaseException]) -> None:
    """The world's part in words; a fault of the program's own with its traceback."""
    in_words, faults = group.split(GatewayError)
    if faults is not None:
        logging.getLogger(__name__).critical("ended by a fault of its own", exc_info=faults)
    sentences = map(str, _leaves(in_words)) if in_words is not None else ()
    for sentence in dict.fromkeys(sentences):
        sys.stderr.write(f"{sentence}\n")


def _leaves(group: BaseExceptionGroup[GatewayError]) -> Iterator[GatewayError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _flush() -> None:
    logging.shutdown()
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.stderr.flush()
