"""A command as a stream: what it says, how it ends, what it leaves behind."""

import asyncio
import logging
import sys
from pathlib import Path

import pytest

from gateway.errors import TransportError
from gateway.ledger import EXAMPLE_BYTES
from gateway.transports import process
from gateway.transports.process import LINES_PER_MINUTE, ProcessSettings, ProcessTransport
from gateway.transports.receiver import READ_BYTES, UNSENT_BYTES_MAX
from tests.transports.serial_pty import PATIENCE_S, descriptors, listening


def python(program: str, silence_timeout_s: float | None = None) -> ProcessTransport:
    command = [sys.executable, "-c", program]
    return ProcessTransport(ProcessSettings("source", command, silence_timeout_s))


def shell(script: str) -> ProcessTransport:
    return ProcessTransport(ProcessSettings("source", ["/bin/sh", "-c", script]))


async def problem_of(transport: ProcessTransport) -> str:
    async with listening(transport) as listener:
        return str(await listener.failure())


def lives(pid: int) -> bool:
    """Whether the process runs: not one that has ended and nobody asked about."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def gone(pid: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while lives(pid):  # noqa: ASYNC110 -- the kernel rings no bell for the processes of others
            await asyncio.sleep(0.005)


async def test_all_that_it_prints_arrives_before_its_end() -> None:
    size = 300_000
    program = f"import sys; sys.stdout.write('x' * {size}); sys.exit(3)"
    sizes: list[int] = []
    async with listening(python(program), lambda data: sizes.append(len(data))) as listener:
        problem = await listener.failure()
    assert (sum(sizes), max(sizes)) == (size, READ_BYTES)
    assert str(problem) == f"{sys.executable}: ended with exit code 3"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 0", "ended with exit code 0"),
        ("echo usb_open error -4 >&2; exit 1", "exit code 1; its last words: usb_open error -4"),
        ("printf 'no newline' >&2; exit 2", "exit code 2; its last words: no newline"),
        ("kill -9 $$", "ended by SIGKILL"),
        ("kill -40 $$", "ended by signal 40"),
    ],
)
async def test_how_it_ended_is_told_in_words(script: str, words: str) -> None:
    assert (await problem_of(shell(script))).endswith(words)


async def test_the_last_words_of_an_earlier_process_are_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "once").touch()
    transport = shell(f"rm {tmp_path}/once 2>/dev/null && echo oh >&2; exit 1")
    assert (await problem_of(transport)).endswith("its last words: oh")
    assert (await problem_of(transport)).endswith("exit code 1")


async def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    script = tmp_path / "script"
    settings = ProcessSettings("source", [str(script)])
    assert await problem_of(ProcessTransport(settings)) == (
        f"{script}: no such command: is it installed?"
    )
    script.write_text("echo x\n")
    assert "may not be executed by this user" in await problem_of(ProcessTransport(settings))
    script.chmod(0o755)
    assert "needs a first line such as #!/bin/sh" in await problem_of(ProcessTransport(settings))
    script.write_text("#!/no/such/shell\necho x\n")
    assert "the program that its first line names" in await problem_of(ProcessTransport(settings))
    unknown = ProcessTransport(ProcessSettings("source", ["no-such-command"]))
    assert "no-such-command: no such command: is it installed? (looked in /" in (
        await problem_of(unknown)
    )


async def test_a_probe_looks_and_starts_nothing(tmp_path: Path) -> None:
    assert await shell("").probe() == "there is /bin/sh"
    with pytest.raises(TransportError, match="no such command"):
        await ProcessTransport(ProcessSettings("source", ["no-such-command"])).probe()


async def test_what_is_written_reaches_its_standard_input() -> None:
    async with listening(shell("exec cat")) as listener:
        await listener.wait_for_open()
        listener.write(bytes(range(256)))
        await listener.wait_for(bytes(range(256)))


async def test_one_that_does_not_read_is_ended() -> None:
    async with listening(shell("exec sleep 60")) as listener:
        await listener.wait_for_open()
        listener.write(b"x" * 10 * UNSENT_BYTES_MAX)
        listener.write(b"x")
        assert str(await listener.failure()) == "/bin/sh: does not read its standard input"


GROUP = "trap '' TERM; sleep 60 & echo $$ $!; wait"


@pytest.mark.parametrize("stubborn", [False, True])
async def test_the_whole_group_is_ended(monkeypatch: pytest.MonkeyPatch, *, stubborn: bool) -> None:
    monkeypatch.setattr(process, "TERM_S", 0.2)
    script = GROUP if stubborn else GROUP.replace("trap '' TERM", ":")
    async with listening(shell(script)) as listener:
        await listener.wait_for(b"\n")
        pids = [int(word) for word in listener.received.split()]
        assert all(map(lives, pids))
        await listener.cancel()
    for pid in pids:
        await gone(pid)


async def test_it_may_say_goodbye() -> None:
    program = """
import signal, sys, time
def end(*_):
    print("goodbye", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("hello", flush=True)
time.sleep(60)
"""
    async with listening(python(program)) as listener:
        await listener.wait_for(b"hello\n")
        await listener.cancel()
    assert listener.received == b"hello\ngoodbye\n"


async def test_what_it_leaves_behind_is_ended_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "REST_S", 0.1)
    monkeypatch.setattr(process, "TERM_S", 0.2)
    async with listening(shell("sleep 60 & echo $!; exit 7")) as listener:
        assert str(await listener.failure()) == "/bin/sh: ended with exit code 7"
    await gone(int(listener.received))


async def test_one_that_closes_its_output_has_nothing_more_to_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "REST_S", 0.1)
    async with listening(shell("echo $$; exec sleep 60 >&-")) as listener:
        assert str(await listener.failure()) == "/bin/sh: has closed its standard output"
    await gone(int(listener.received))


async def test_silence_ends_it() -> None:
    async with listening(
        python("import os, time; os.write(1, b'%d' % os.getpid()); time.sleep(60)", 0.5)
    ) as listener:
        assert str(await listener.failure()).endswith("silent for 0.5 s")
    await gone(int(listener.received))


async def test_what_receive_raises_ends_it() -> None:
    pids: list[int] = []

    def receive(data: bytes) -> None:
        pids.append(int(data))
        raise LookupError("a bug")

    async with listening(shell("echo $$; exec sleep 60"), receive) as listener:
        with pytest.raises(LookupError, match="a bug"):
            await asyncio.wait_for(listener.ended, PATIENCE_S)
    await gone(pids[0])


async def test_nothing_stays_open() -> None:
    before = len(descriptors())
    for _ in range(3):
        await problem_of(shell("echo x"))
        await problem_of(ProcessTransport(ProcessSettings("source", ["no-such-command"])))
    assert len(descriptors()) <= before + 1  # of the event loop


async def test_it_does_not_inherit_what_we_have_open(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w"):
        program = "import os; print(sorted(os.listdir('/proc/self/fd'), key=int)[:-1])"
        async with listening(python(program)) as listener:
            await listener.failure()
    assert listener.received == b"['0', '1', '2']\n"


async def test_standard_error_is_logged_line_by_line(caplog: pytest.LogCaptureFixture) -> None:
    program = r"""
import os
os.write(2, b"Found a tuner\r\n\r\n\x1b[31m[red]\xff\n" + b"y" * 100_000 + b"\nlast")
"""
    with caplog.at_level(logging.INFO):
        assert (await problem_of(python(program))).endswith("its last words: last")
    lines = [record.getMessage() for record in caplog.records]
    assert lines[:2] == ["source: Found a tuner", "source: \\x1b[31m[red]\\xff"]
    assert lines[2:] == [f"source: {'y' * EXAMPLE_BYTES}", "source: last"]


async def test_a_flood_of_errors_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    program = "import sys\nfor n in range(30_000): print(n, file=sys.stderr)"
    with caplog.at_level(logging.INFO):
        transport = python(program)
        assert (await problem_of(transport)).endswith("its last words: 29999")
        await problem_of(transport)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [f"source: {n}" for n in range(LINES_PER_MINUTE)]


async def test_how_much_was_not_logged_is_said_later(caplog: pytest.LogCaptureFixture) -> None:
    errors = process._StandardError("source")
    with caplog.at_level(logging.INFO):
        errors.feed(b"x\n" * (LINES_PER_MINUTE + 5))
        errors._since_s -= 61
        errors.feed(b"later\n")
    assert [r.getMessage() for r in caplog.records][LINES_PER_MINUTE:] == [
        "5 lines more of source",
        "source: later",
    ]
