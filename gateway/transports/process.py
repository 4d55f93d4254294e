"""A command whose standard output is a byte stream, such as `rtl_433 -F json`.

One `run` is the life of one process; whoever calls it waits and calls it again. No shell is
involved. The process leads a group of its own, which is ended with it: SIGTERM, and SIGKILL for
whoever is still there after TERM_S. Its standard input takes what is written. What it says on
standard error goes to the log, and its last words into the reason why it ended.

Limits: READ_BYTES at a time; UNSENT_BYTES_MAX wait for a process that does not read;
LINES_PER_MINUTE of standard error are logged, the first EXAMPLE_BYTES of
each. A process that leaves its group
(a daemon) is not followed. If the gateway itself is killed, it remains, unless systemd ends it.
"""

import asyncio
import errno
import logging
import os
import re
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn, cast

from gateway.errors import TransportError
from gateway.ledger import EXAMPLE_BYTES, printable
from gateway.transports.descriptor import DescriptorReader
from gateway.transports.receiver import UNSENT_BYTES_MAX, Opened, Receive, Receiver

log = logging.getLogger(__name__)

TERM_S = 1.0
"""To end by itself: within the 5 s that the gateway's own end may take."""
KILL_S = 0.5
"""For the kernel to end it; a process that waits for hardware is left behind."""
REST_S = 3.0
"""From the end of the process to that of its output, which others may hold open, and vice versa."""
LOOK_S = 0.02

LINES_PER_MINUTE = 30

_SENTENCES = {
    errno.ENOENT: "the program that its first line names is not there",
    errno.ENOEXEC: "is no program of this machine; a script needs a first line such as #!/bin/sh",
}


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """One command."""

    source: str
    """Whose lines these are, for the log."""
    command: Sequence[str]
    silence_timeout_s: float | None = None
    """A process that says nothing for so long is ended; None: it may be silent."""


class ProcessTransport:
    """One command, started anew by each `run`."""

    def __init__(self, settings: ProcessSettings) -> None:
        self._settings = settings
        self._errors = _StandardError(settings.source)

    async def run(self, opened: Opened, receive: Receive) -> NoReturn:
        """Start the command and hand every chunk of its output to `receive` until it ends.

        Raises TransportError, or what `receive` raised. Cancelled or not: its group is ended.
        """
        command = self._settings.command
        program = find(command[0])
        child = _Child(command[0], receive, self._errors)
        with ExitStack() as stack:
            output, errors = await _start([program, *command[1:]], child, stack)
            with child.reading(output, errors):
                try:
                    opened(child.write)
                    raise await child.end(self._settings.silence_timeout_s)
                finally:
                    await child.end_group()

    async def is_held_by(self, _process: int) -> bool:
        """A command may run several times."""
        return False

    async def probe(self) -> str:
        """Look for the command without starting it; returns where it is."""
        return f"there is {find(self._settings.command[0])}"


def find(command: str) -> str:
    """The path of the program. Raises TransportError."""
    path = shutil.which(command)
    if path is not None:
        return path
    if os.sep in command and Path(command).exists():
        raise TransportError(f"{command}: may not be executed by this user (chmod +x)")
    where = "" if os.sep in command else f" (looked in {os.environ.get('PATH', os.defpath)})"
    raise TransportError(f"{command}: no such command: is it installed?{where}")


class _Pipe:
    """A pipe from a process that is about to start."""

    def __init__(self) -> None:
        self.ours, self.theirs = os.pipe()

    def hand_over(self) -> None:
        """Their end is theirs alone."""
        if self.theirs >= 0:
            os.close(self.theirs)
        self.theirs = -1

    def close(self) -> None:
        self.hand_over()
        os.close(self.ours)


async def _start(command: Sequence[str], child: "_Child", stack: ExitStack) -> tuple[int, int]:
    """Start it; returns where its output and its errors are read."""
    try:
        output, errors = (stack.enter_context(closing(_Pipe())) for _ in range(2))
        await asyncio.get_running_loop().subprocess_exec(
            lambda: child,
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=output.theirs,
            stderr=errors.theirs,
            start_new_session=True,
        )
    except OSError as error:
        words = _SENTENCES.get(error.errno or 0, error.strerror)
        raise TransportError(f"{command[0]}: {words}") from error
    output.hand_over()
    errors.hand_over()
    return output.ours, errors.ours


class _Child(Receiver, asyncio.SubprocessProtocol):
    """One process."""

    _transport: asyncio.SubprocessTransport

    def __init__(self, where: str, receive: Receive, errors: "_StandardError") -> None:
        super().__init__(where, receive)
        self._errors = errors
        self._errors.begin()
        self._exited = asyncio.Event()
        self._open = {"output", "errors"}
        """What has not come to its end."""

    @contextmanager
    def reading(self, output: int, errors: int) -> Iterator[None]:
        """Read both during the block."""
        readers = (
            DescriptorReader(output, self.data_received, partial(self._stream_ended, "output")),
            DescriptorReader(errors, self._errors.feed, partial(self._stream_ended, "errors")),
        )
        for reader in readers:
            reader.start()
        try:
            yield
        finally:
            for reader in readers:
                reader.stop()

    def write(self, data: bytes) -> None:
        """Bytes for its standard input."""
        pipe = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))
        if pipe.get_write_buffer_size() > UNSENT_BYTES_MAX:
            self.lose("does not read its standard input")
        else:
            pipe.write(data)

    async def end_group(self) -> None:
        """End the process and all that it has started, as far as they are still there."""
        group = self._transport.get_pid()
        try:
            async with asyncio.timeout(TERM_S):
                _signal(group, signal.SIGTERM)
                await self._exited.wait()
                while _signal(group, 0):  # noqa: ASYNC110 -- nobody tells the end of a group
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            pass
        finally:
            _signal(group, signal.SIGKILL)
        with suppress(TimeoutError):
            async with asyncio.timeout(KILL_S):
                await self._exited.wait()
        self._transport.close()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def process_exited(self) -> None:
        self._exited.set()
        self._conclude_soon()

    def _stream_ended(self, stream: str) -> None:
        self._open.discard(stream)
        if stream == "errors":
            self._errors.end()
        if stream == "output" or self._exited.is_set():
            self._conclude_soon()

    def _conclude_soon(self) -> None:
        if self._exited.is_set() and not self._open:
            self._conclude()
        else:
            self._loop.call_later(REST_S, self._conclude)

    def _conclude(self) -> None:
        said = self._errors.last_words()
        words = _how_it_ended(self._transport.get_returncode())
        self.lose(f"{words}; its last words: {said}" if said else words)


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "has closed its standard output"
    if code >= 0:
        return f"ended with exit code {code}"
    names = {number.value: number.name for number in signal.Signals}
    return f"ended by {names.get(-code, f'signal {-code}')}"


def _signal(group: int, number: int) -> bool:
    """Send a signal to a process group; False where there is none."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's by now, as with sudo
    return True


class _StandardError:
    """What a command says on standard error, line by line, for the log."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._last = b""
        self._rest = b""
        self._since_s = 0.0
        self._count = 0

    def begin(self) -> None:
        """Another process is about to speak."""
        self._last = b""

    def last_words(self) -> str:
        return printable(self._last)

    def feed(self, data: bytes) -> None:
        *lines, rest = re.split(rb"[\r\n]+", self._rest + data)
        for line in lines:
            self._log(line)
        self._rest = rest[:EXAMPLE_BYTES]

    def end(self) -> None:
        """The process has said what it had to say."""
        self._log(self._rest)
        self._rest = b""

    def _log(self, line: bytes) -> None:
        """In one argument: of different lines the log holds back none."""
        if not line.strip():
            return
        self._last = line
        now_s = asyncio.get_running_loop().time()
        if now_s - self._since_s >= 60:  # noqa: PLR2004 -- a minute
            if self._count > LINES_PER_MINUTE:
                log.info("%d lines more of %s", self._count - LINES_PER_MINUTE, self._source)
            self._since_s, self._count = now_s, 0
        self._count += 1
        if self._count <= LINES_PER_MINUTE:
            log.info("%s", f"{self._source}: {printable(line)}")
