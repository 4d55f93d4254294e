"""RFC 2217 without I/O: against pyserial's server, by the letter, and under hostile bytes."""

from random import Random

import pytest

from gateway.transports.com_port import SUBNEGOTIATION_MAX, ComPort, Line, TelnetError
from tests.transports.device_server import DeviceServer, PretendedPort

IAC, SB, SE = b"\xff", b"\xff\xfa", b"\xff\xf0"
WILL, WONT, DO, DONT = (bytes((255, code)) for code in (251, 252, 253, 254))
BINARY, ECHO, GO_AHEAD, COM_PORT = (bytes((option,)) for option in (0, 1, 3, 44))

RATES = (300, 1200, 9600, 65_535, 65_280, 115_200, 4_000_000, 255 << 24)


def said(command: int, value: bytes) -> bytes:
    """What a server says about its port."""
    return SB + COM_PORT + bytes((100 + command,)) + value.replace(IAC, IAC + IAC) + SE


CONFIRMED = said(1, b"\0\0\x25\x80") + said(2, b"\x08") + said(3, b"\x01") + said(4, b"\x01")
"""A line of 9600 8N1."""


def taken(port: ComPort) -> bytes:
    """What it wants to send."""
    data = bytes(port.outgoing)
    port.outgoing.clear()
    return data


def ready() -> ComPort:
    """A port that is set."""
    port = ComPort(Line(9600))
    port.receive(DO + COM_PORT + CONFIRMED)
    assert port.ready
    taken(port)
    return port


class Conversation:
    """Both ends, and bytes that travel between them in pieces."""

    def __init__(self, rng: Random, line: Line) -> None:
        self.client = ComPort(line)
        self.server = DeviceServer()
        self.heard_by_client = b""
        self.heard_by_server = b""
        self._rng = rng

    def _pieces(self, data: bytes) -> list[bytes]:
        cuts = sorted(self._rng.randrange(len(data) + 1) for _ in range(self._rng.randrange(6)))
        return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]

    def exchange(self) -> None:
        """Until nobody has anything to say."""
        for _ in range(20):
            for piece in self._pieces(taken(self.client)):
                self.heard_by_server += self.server.receive(piece)
            from_server = bytes(self.server.outgoing)
            self.server.outgoing.clear()
            for piece in self._pieces(from_server):
                self.heard_by_client += self.client.receive(piece)
            if not self.client.outgoing and not self.server.outgoing:
                return
        raise AssertionError("they never come to an end")


@pytest.mark.parametrize("seed", range(60))
def test_pyserials_server_sets_the_line_and_every_byte_passes(seed: int) -> None:
    rng = Random(seed)
    line = Line(
        rng.choice(RATES),
        rng.choice((5, 6, 7, 8)),
        rng.choice("NEOMS"),
        rng.choice((1, 2)),
        rng.choice((None, False, True)),
        rng.choice((None, False, True)),
    )
    talk = Conversation(rng, line)
    talk.server.say(b"from before")
    talk.exchange()
    port = talk.server.serial
    assert talk.client.ready
    assert port == PretendedPort(
        line.baudrate,
        line.bytesize,
        line.parity,
        line.stopbits,
        dtr=line.dtr is not False,
        rts=line.rts is not False,
        xonxoff=False,
        rtscts=False,
        purged=["input", "output"],
    )
    down = rng.randbytes(500) + IAC * 5 + bytes(range(256))
    up = rng.randbytes(500) + IAC * 4 + b"\r\n\r\0" + bytes(range(256))
    talk.server.say(up)
    talk.client.send(down)
    talk.exchange()
    assert (talk.heard_by_client, talk.heard_by_server) == (up, down)


def test_what_came_before_the_line_was_set_is_not_of_this_opening() -> None:
    port = ComPort(Line(9600))
    assert port.receive(b"old") == b""
    assert port.receive(DO + COM_PORT + b"older" + CONFIRMED + b"new") == b"new"


def test_a_server_that_refuses_is_none() -> None:
    with pytest.raises(TelnetError, match=r"does not speak RFC 2217: .* write tcp://"):
        ComPort(Line(9600)).receive(DONT + COM_PORT)


def test_a_server_that_says_nothing_of_it_is_none() -> None:
    port = ComPort(Line(9600))
    assert port.receive(b"$GPGGA,120000") == b""
    assert port.missing().startswith("it does not speak RFC 2217")


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (said(1, b"\0\0\x12\xc0"), "it sets baudrate to 4800 instead of 9600"),
        (said(1, b"\0\0\x25\x80") + said(2, b"\x07"), "it sets bytesize to 7 instead of 8"),
        (CONFIRMED.replace(said(3, b"\1"), said(3, b"\3")), "it sets parity to E instead of N"),
        (CONFIRMED.replace(said(3, b"\1"), said(3, b"\xff")), "it sets parity to ? instead of N"),
        (CONFIRMED.replace(said(4, b"\1"), said(4, b"")), "it sets stopbits to 0 instead of 1"),
        (b"", "it does not confirm baudrate"),
    ],
)
def test_a_server_that_sets_something_else_is_told_in_words(answers: bytes, words: str) -> None:
    port = ComPort(Line(9600))
    port.receive(DO + COM_PORT + answers)
    assert not port.ready
    assert port.missing() == words


def test_the_last_word_about_a_setting_counts() -> None:
    port = ComPort(Line(9600))
    port.receive(said(1, b"\0\0\x25\x80") + DO + COM_PORT)
    port.receive(said(1, b"\0\0\x12\xc0") + CONFIRMED)
    assert port.ready


def test_each_setting_is_asked_for_although_the_server_spoke_of_it_before() -> None:
    port = ComPort(Line(9600))
    taken(port)
    port.receive(CONFIRMED + DO + COM_PORT)
    assert SB + COM_PORT + b"\1\0\0\x25\x80" + SE in taken(port)


def test_other_options_are_refused_and_thanks_are_not_answered() -> None:
    port = ready()
    port.receive(WILL + ECHO + DO + ECHO + DO + b"\x18" + WILL + b"\x18")
    assert taken(port) == DONT + ECHO + WONT + ECHO + WONT + b"\x18" + DONT + b"\x18"
    port.receive((DO + BINARY + WILL + BINARY + WILL + GO_AHEAD + DO + COM_PORT) * 3)
    assert taken(port) == b""
    port.receive(WILL + COM_PORT)
    assert taken(port) == DO + COM_PORT
    port.receive(WONT + BINARY + DONT + BINARY + WONT + ECHO + DONT + ECHO)
    assert taken(port) == DONT + BINARY + WONT + BINARY


def test_other_commands_are_passed_over() -> None:
    nop, data_mark, are_you_there = (bytes((255, code)) for code in (241, 242, 246))
    modem_state = said(7, b"\x30") + said(6, b"\x60") + said(99, b"x" * 50)
    data = b"a" + nop + b"b" + data_mark + modem_state + b"c" + are_you_there + b"d"
    assert ready().receive(data) == b"abcd"


def test_it_says_who_it_is_when_asked() -> None:
    port = ready()
    port.receive(said(0, b""))
    assert taken(port) == SB + COM_PORT + b"\0Sensor Gateway" + SE
    port.receive(said(0, b"ser2net 4.3"))
    assert taken(port) == b""


def test_nothing_is_sent_while_the_server_takes_nothing() -> None:
    port = ready()
    port.receive(said(8, b""))
    port.send(b"first")
    port.receive(said(8, b""))
    port.send(b"\xff")
    assert (taken(port), port.unsent) == (b"", 7)
    port.receive(said(9, b""))
    port.send(b"third")
    port.receive(said(9, b""))
    assert (taken(port), port.unsent) == (b"first\xff\xffthird", 0)


def test_a_subnegotiation_that_breaks_off_costs_nothing_else() -> None:
    port = ready()
    data = b"a" + SB + COM_PORT + b"\x6b" + WILL + ECHO + b"b" + SB + SE + b"c" + SB + COM_PORT + SE
    assert port.receive(data + b"d") == b"abcd"
    assert taken(port) == DONT + ECHO


def test_a_subnegotiation_without_an_end_is_not_waited_for() -> None:
    longest = SB + b"x" * (SUBNEGOTIATION_MAX - 2)
    assert ready().receive(longest + SE + b"a") == b"a"
    for escaped in (b"x", IAC + IAC):
        port = ready()
        with pytest.raises(TelnetError, match="a subnegotiation without an end"):
            port.receive(SB + escaped * SUBNEGOTIATION_MAX)


def hostile(rng: Random) -> bytes:
    """Telnet that nobody would send."""
    words = [
        lambda: rng.randbytes(rng.randrange(20)),
        lambda: IAC * rng.randrange(5),
        lambda: SB + rng.choice((COM_PORT, b"", b"\x18")) + rng.randbytes(rng.randrange(8)),
        lambda: SE,
        lambda: said(rng.randrange(-100, 100), rng.randbytes(rng.randrange(6))),
        lambda: rng.choice((WILL, WONT, DO)) + rng.choice((BINARY, ECHO, GO_AHEAD, COM_PORT, b"")),
        lambda: DO + COM_PORT + CONFIRMED,
    ]
    return b"".join(rng.choice(words)() for _ in range(rng.randrange(30)))


def outcome(pieces: list[bytes]) -> tuple[bytes, bytes, bool, str]:
    """Data, answers, state, and what was raised, for bytes that come in pieces."""
    port = ComPort(Line(9600))
    line = b""
    try:
        for piece in pieces:
            line += port.receive(piece)
            assert len(port._rest) <= SUBNEGOTIATION_MAX + 1
    except TelnetError as error:
        return b"", b"", False, str(error)
    return line, taken(port), port.ready, ""


def test_whatever_comes_is_read_alike_in_any_pieces_and_never_fails() -> None:
    rng = Random(2217)
    for _ in range(1000):
        data = hostile(rng)
        whole = outcome([data])
        single = outcome([data[i : i + 1] for i in range(len(data))])
        cut = rng.randrange(len(data) + 1)
        assert whole == single == outcome([data[:cut], data[cut:]])
        assert len(whole[1]) <= 4 * len(data) + 300
