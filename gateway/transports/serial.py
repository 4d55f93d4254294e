"""A serial port as a stream of chunks: opened exclusively, read by the event loop, closed at once.

One `run` is the life of one open port; whoever calls it waits and calls it again. pyserial opens
and configures the port in a thread, because a driver may take its time; pyserial-asyncio then
reads it on the event loop. pyserial's `open` empties the input buffer once the port is configured,
about 40 us after the kernel opened it: nothing from before is taken, all that follows is kept.

Limits: POSIX only. What is written waits in memory for a device that does not take it. One thread
per port at most, while it opens. Another program that opened the port before, and does not lock it,
goes unnoticed.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import termios
import threading
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import NoReturn

import serial
import serial_asyncio

from gateway.errors import TransportError
from gateway.transports.receiver import Forward, Opened, Receive, Receiver
from gateway.transports.serial_ports import describe, explain, is_held_by, resolve

OPEN_TIMEOUT_S = 10.0
"""A USB driver whose device hangs gives up after 5 s."""
_PSEUDO_TERMINALS = range(136, 144)
"""Their major device numbers (Linux, devices.txt)."""


@dataclass(frozen=True, slots=True)
class PortSettings:
    """One port; `port` is a path or a USB identity."""

    port: str
    baudrate: int
    bytesize: int = 8
    parity: str = "N"
    """pyserial's letters: N, E, O, M, S."""
    stopbits: float = 1
    dtr: bool | None = None
    """False keeps boards running that reset on DTR; None raises it, as terminals do."""
    rts: bool | None = None
    silence_timeout_s: float | None = None
    """A device that says nothing for so long counts as gone; None: it may be silent."""


class SerialTransport:
    """One port, opened anew by each `run`."""

    def __init__(self, settings: PortSettings) -> None:
        self._settings = settings
        self._opener = _Opener(settings)

    async def run(self, opened: Opened, receive: Receive) -> NoReturn:
        """Open the port and hand every chunk to `receive` until the port ends.

        Raises TransportError, or what `receive` raised. Cancelled or not: the port is closed.
        """
        port = await self._opener.open()
        receiver = _Receiver(port.port, receive)
        reader = serial_asyncio.SerialTransport(asyncio.get_running_loop(), receiver, port)
        try:
            opened(reader.write)
            raise await receiver.end(self._settings.silence_timeout_s)
        finally:
            if not reader.is_closing():
                reader.abort()  # takes effect in the loop's next round
            port.close()

    async def is_held_by(self, process: int) -> bool:
        """Whether the process has the port open."""
        return is_held_by(process, resolve(self._settings.port))

    async def probe(self) -> str:
        """Open the port and close it again; returns its path and what is plugged in there."""
        port = await self._opener.open()
        port.close()
        return describe(port.port)


class _Port(serial.Serial):  # type: ignore[misc]  # pyserial has no types
    """pyserial's port without the calls that wait: they would hold up all other ports."""

    def read(self, size: int = 1) -> bytes:
        """What is there; the event loop has just said that something is.

        pyserial asks select again, which costs more than the read and refuses descriptors from
        1024 on (200 ports).
        """
        try:
            data = os.read(self.fd, size)
        except BlockingIOError:
            return b""
        except OSError as exc:
            raise serial.SerialException(exc.errno, exc.strerror) from exc
        if not data:
            raise serial.SerialException(errno.EIO, "end of file")
        return data

    def _reconfigure_port(self, force_update: bool = False) -> None:  # noqa: FBT001, FBT002
        """Configure when opening only: pyserial-asyncio sets two timeouts, each does it again."""
        if force_update:
            super()._reconfigure_port(force_update=True)

    def flush(self) -> None:
        """Discard unsent output; pyserial waits until the device has taken it."""
        if self.is_open:
            with contextlib.suppress(termios.error):  # unplugged
                termios.tcflush(self.fd, termios.TCOFLUSH)

    def close(self) -> None:
        if self.is_open:
            self.flush()  # or else the kernel waits for it, up to 30 s
            with contextlib.suppress(OSError):  # unplugged
                fcntl.ioctl(self.fd, termios.TIOCNXCL)  # it stays while others have the port open
        super().close()


class _Receiver(Receiver, asyncio.Protocol):
    """What pyserial-asyncio calls."""

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            problem = TransportError(explain(exc, self._where))
            problem.__cause__ = exc
            self.end_with(problem)


class _Opener:
    """Opens one port in a thread, so that waiting for it is bounded and can be cancelled.

    A daemon thread, not an executor: a driver that never answers must not keep the process from
    ending. Nor may it collect threads: the next attempt waits for the last one.
    """

    def __init__(self, settings: PortSettings) -> None:
        self._settings = settings
        self._abandoned: threading.Thread | None = None

    async def open(self) -> _Port:
        """The open port. Cancelled: one that opens later is closed again."""
        if self._abandoned is not None and self._abandoned.is_alive():
            raise TransportError(f"{self._settings.port}: its driver still does not answer")
        handover: Future[_Port] = Future()
        thread = threading.Thread(target=_open_into, args=(handover, self._settings), daemon=True)
        thread.start()
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                return await asyncio.wrap_future(handover)
        except asyncio.CancelledError:
            self._abandon(handover, thread)
            raise
        except TimeoutError as exc:
            self._abandon(handover, thread)
            raise TransportError(
                f"{self._settings.port}: its driver does not answer within {OPEN_TIMEOUT_S:g} s"
            ) from exc

    def _abandon(self, handover: Future[_Port], thread: threading.Thread) -> None:
        self._abandoned = thread
        if not handover.cancel() and handover.exception() is None:
            handover.result().close()  # it opened in the very moment of giving up


def _open_into(handover: Future[_Port], settings: PortSettings) -> None:
    def fail(exc: BaseException) -> None:
        with contextlib.suppress(InvalidStateError):
            handover.set_exception(exc)

    with Forward(fail):
        port = _open(settings)
        try:
            handover.set_result(port)
        except InvalidStateError:  # nobody waits for it any more
            port.close()


def _open(settings: PortSettings) -> _Port:
    """Blocking: the port, configured, held exclusively, its input emptied."""
    path = resolve(settings.port)
    try:
        port = _Port(
            baudrate=settings.baudrate,
            bytesize=settings.bytesize,
            parity=settings.parity,
            stopbits=settings.stopbits,
            exclusive=True,
        )
        port.port = path
        if settings.dtr is not None:
            port.dtr = settings.dtr
        if settings.rts is not None:
            port.rts = settings.rts
        with contextlib.ExitStack() as undo:
            undo.callback(port.close)
            port.open()
            _require_character_size(port)
            _lock_out_others(port)
            undo.pop_all()
    except (OSError, termios.error, ValueError, OverflowError) as exc:
        raise TransportError(explain(exc, path)) from exc
    return port


def _require_character_size(port: _Port) -> None:
    """A fresh pseudo-terminal takes 7E1 without an error and stays at 8N1."""
    bits = {5: termios.CS5, 6: termios.CS6, 7: termios.CS7, 8: termios.CS8}[port.bytesize]
    parity = 0 if port.parity == serial.PARITY_NONE else termios.PARENB
    cflag: int = termios.tcgetattr(port.fd)[2]
    if cflag & (termios.CSIZE | termios.PARENB) != bits | parity:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def _lock_out_others(port: _Port) -> None:
    """Refuse further opens, also by programs that know nothing of pyserial's advisory lock.

    Not on a pseudo-terminal: there the refusal outlives a killed process, and shuts us out too.
    """
    if os.major(os.fstat(port.fd).st_rdev) not in _PSEUDO_TERMINALS:
        fcntl.ioctl(port.fd, termios.TIOCEXCL)
