"""Asking on a line, in virtual time: every request has one outcome, at every moment."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from gateway.asking import Asker, Poll, Request
from gateway.ledger import EQUATIONS, Account
from gateway.model import Frame, Ignored, Reason, Verdict
from gateway.polling import GAP_CHARACTERS, GAP_MIN_S, QUIET_S, Poller
from simulators import virtual_time

CHARACTER_S = 0.001
GAP_S = GAP_CHARACTERS * CHARACTER_S
NEVER_S = 1e9

ASK = Request(b"??", answer_size=4, timeout_s=1.0)
WAIT_S = 2 * CHARACTER_S + 4 * CHARACTER_S + 1.0
"""How long the answer to ASK may take."""

TELL = Request(b"!!!!!")

Answer = tuple[float, bytes]
"""When, after the request, and what: A answers, E is an exception, the rest is neither."""


@dataclass
class Script:
    """An `Asker` that asks at given times."""

    account: Account
    due_s: list[float]
    request: Request = ASK
    poll: Poll | None = None
    begun_s: list[float] = field(default_factory=list)
    given_up: list[tuple[float, Poll]] = field(default_factory=list)

    def begin(self, now_s: float) -> None:
        self.begun_s.append(now_s)

    def ask(self, now_s: float) -> Request | float:
        check(self.account)
        if not self.due_s or now_s < self.due_s[0]:
            return self.due_s[0] if self.due_s else NEVER_S
        del self.due_s[0]
        self.poll = None
        return self.request

    def decode(self, frame: Frame) -> Verdict:
        check(self.account)
        answers = {b"A": Poll.ANSWERED, b"E": Poll.EXCEPTION}
        self.poll = answers.get(frame.data[-1:], self.poll)
        return Ignored(Reason.UNASKED)

    def outcome(self) -> Poll | None:
        check(self.account)
        return self.poll

    def give_up(self, now_s: float, poll: Poll) -> None:
        check(self.account)
        self.given_up.append((now_s, poll))

    def problems(self) -> Sequence[str]:
        return ("the pump does not answer",)


class Rig:
    """A poller whose line and asker follow a script."""

    def __init__(
        self,
        due_s: Sequence[float],
        answers: Sequence[Sequence[Answer]] = (),
        *,
        request: Request = ASK,
        character_s: float = CHARACTER_S,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.account = Account("line", "serial")
        self.asker = Script(self.account, list(due_s), request)
        self.poller = Poller(self.account, self.asker, self.flush, character_s=character_s)
        self.answers: Iterator[Sequence[Answer]] = iter(answers)
        self.written: list[tuple[float, bytes]] = []
        self.flushed_s: list[float] = []
        self.held = b""
        """What a framer that waits for silence has."""

    async def run(self, seconds: float) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.poller.run(self.write)
        check(self.account)

    def write(self, data: bytes) -> None:
        check(self.account)
        self.written.append((self.loop.time(), data))
        for delay_s, answer in next(self.answers, ()):
            self.loop.call_later(delay_s, self.receive, answer)

    def receive(self, data: bytes) -> None:
        if data.startswith(b"hel"):
            self.held = data
            self.account.bytes_buffered = len(data)
        else:
            self.asker.decode(Frame(data, 0))
        self.poller.received()
        check(self.account)

    def flush(self) -> None:
        self.flushed_s.append(self.loop.time())
        self.account.bytes_buffered = 0
        if self.held:
            self.asker.decode(Frame(self.held, 0))
        self.held = b""

    def counts(self) -> dict[str, int]:
        """The polls of the account, without those that are none."""
        names = ("polls", *EQUATIONS["polls"][1])
        return {name: count for name in names if (count := getattr(self.account, name))}

    def given_up(self) -> list[tuple[float, Poll]]:
        return [(round(when, 6), poll) for when, poll in self.asker.given_up]

    def times(self) -> list[float]:
        return [round(when, 6) for when, _ in self.written]


def check(account: Account) -> None:
    """Requests are answered, exceptions, given up, or under way."""
    total, parts = EQUATIONS["polls"]
    assert getattr(account, total) == sum(getattr(account, part) for part in parts)
    assert account.outstanding in (0, 1)


def test_the_script_is_an_asker() -> None:
    assert isinstance(Script(Account("line", "serial"), []), Asker)


def test_requests_are_written_when_they_are_due() -> None:
    async def main() -> None:
        rig = Rig([0.5, 1.0, 7.0], [[(0.01, b"A")]] * 3)
        await rig.run(10.0)
        assert rig.written == [(0.5, b"??"), (1.0, b"??"), (7.0, b"??")]
        assert rig.counts() == {"polls": 3, "answered": 3}
        assert rig.asker.given_up == []

    virtual_time.run(main())


@pytest.mark.parametrize(
    ("answer", "counter"),
    [(b"A", "answered"), (b"E", "exceptions"), (b"part of it, A", "answered")],
)
def test_what_the_decoder_says_is_counted(answer: bytes, counter: str) -> None:
    async def main() -> None:
        rig = Rig([0.5], [[(0.3, answer)]])
        await rig.run(10.0)
        assert rig.counts() == {"polls": 1, counter: 1}
        assert rig.asker.given_up == []
        assert rig.flushed_s == []

    virtual_time.run(main())


def test_an_answer_may_come_in_pieces_until_its_time_is_over() -> None:
    async def main() -> None:
        rig = Rig([0.5], [[(0.4, b"x"), (0.8, b"y"), (WAIT_S - 0.001, b"A")]])
        await rig.run(10.0)
        assert rig.counts() == {"polls": 1, "answered": 1}

    virtual_time.run(main())


def test_silence_is_a_timeout_and_the_next_request_goes_out_in_time() -> None:
    async def main() -> None:
        rig = Rig([0.5, 2.0], [[], [(0.01, b"A")]])
        await rig.run(10.0)
        assert rig.counts() == {"polls": 2, "answered": 1, "timeouts": 1}
        assert rig.given_up() == [(0.5 + WAIT_S, Poll.TIMEOUT)]
        assert rig.times() == [0.5, 2.0]

    virtual_time.run(main())


def test_something_else_than_an_answer_is_invalid() -> None:
    async def main() -> None:
        rig = Rig([0.5], [[(0.2, b"x")]])
        await rig.run(10.0)
        assert rig.counts() == {"polls": 1, "invalid": 1}
        assert rig.given_up() == [(0.5 + WAIT_S, Poll.INVALID)]

    virtual_time.run(main())


def test_a_frame_that_only_silence_ends_is_an_answer_in_the_end() -> None:
    async def main() -> None:
        rig = Rig([0.5], [[(0.2, b"held A")]])
        await rig.run(10.0)
        assert rig.counts() == {"polls": 1, "answered": 1}
        assert rig.flushed_s == [pytest.approx(0.5 + 0.2 + QUIET_S)]
        assert rig.asker.given_up == []

    virtual_time.run(main())


@pytest.mark.parametrize(
    ("answers", "given_up_s"),
    [
        ([(0.2, b"held")], 0.5 + 0.2 + QUIET_S),
        ([(0.2, b"hel")], 0.5 + WAIT_S),
        ([(0.2, b"held"), (0.25, b"held"), (0.3, b"held")], 0.5 + 0.3 + QUIET_S),
    ],
    ids=["an answer's worth", "a glitch", "it goes on"],
)
def test_what_is_no_answer_is_not_waited_for_once_it_has_ended(
    answers: Sequence[Answer], given_up_s: float
) -> None:
    async def main() -> None:
        rig = Rig([0.5], [answers])
        await rig.run(10.0)
        ((when_s, poll),) = rig.given_up()
        assert when_s == pytest.approx(given_up_s)
        assert poll is Poll.INVALID

    virtual_time.run(main())


def test_a_network_may_pause() -> None:
    async def main() -> None:
        rig = Rig([0.5], [[(0.2, b"held"), (0.9, b"A")]], character_s=0.0)
        await rig.run(10.0)
        assert rig.counts() == {"polls": 1, "answered": 1}

    virtual_time.run(main())


@pytest.mark.parametrize(
    ("answers", "counter", "poll"),
    [([], "timeouts", Poll.TIMEOUT), ([(0.1, b"x")], "invalid", Poll.INVALID)],
)
def test_the_end_of_the_line_ends_the_request(
    answers: Sequence[Answer], counter: str, poll: Poll
) -> None:
    async def main() -> None:
        rig = Rig([0.5], [answers])
        await rig.run(0.7)
        assert rig.counts() == {"polls": 1, counter: 1}
        assert rig.asker.given_up == [(0.7, poll)]

    virtual_time.run(main())


@pytest.mark.parametrize(
    ("last", "counter"), [(b"A", "answered"), (b"E", "exceptions"), (b"x", "invalid")]
)
def test_what_came_in_the_last_moment_of_the_line_counts(last: bytes, counter: str) -> None:
    async def main() -> None:
        rig = Rig([0.5])
        asking = asyncio.create_task(rig.poller.run(rig.write))
        await asyncio.sleep(0.6)
        rig.receive(last)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert rig.counts() == {"polls": 1, counter: 1}

    virtual_time.run(main())


def test_each_opening_begins_anew() -> None:
    async def main() -> None:
        rig = Rig([0.5, 3.0], [[], [(0.1, b"A")]])
        await rig.run(0.7)
        await rig.run(5.0)
        assert rig.asker.begun_s == [0.0, 0.7]
        assert rig.counts() == {"polls": 2, "timeouts": 1, "answered": 1}

    virtual_time.run(main())


@pytest.mark.parametrize(
    ("character_s", "gap_s"), [(CHARACTER_S, GAP_S), (10 / 115_200, GAP_MIN_S)]
)
def test_a_gap_is_kept_after_whatever_was_heard(character_s: float, gap_s: float) -> None:
    async def main() -> None:
        rig = Rig([0.5, 0.6], [[(0.1, b"A")], []], character_s=character_s)
        rig.loop.call_at(0.4999, rig.receive, b"x")
        await rig.run(10.0)
        first, second = (when for when, _ in rig.written)
        assert first == pytest.approx(0.4999 + gap_s)
        assert second == pytest.approx(first + 0.1 + gap_s)

    virtual_time.run(main())


def test_a_device_that_babbles_does_not_keep_the_others_waiting() -> None:
    async def main() -> None:
        rig = Rig([0.5, 2.0], [[], [(0.5, b"A")]])
        for number in range(10_000):
            rig.loop.call_at(number * CHARACTER_S, rig.receive, b"x")
        await rig.run(10.0)
        assert rig.counts() == {"polls": 2, "invalid": 1, "answered": 1}
        first, second = rig.times()
        assert 0.5 <= first <= 0.5 + 25 * GAP_S
        assert 2.0 <= second <= 2.0 + 25 * GAP_S

    virtual_time.run(main())


def test_a_request_without_an_answer_is_no_poll_and_takes_its_time_on_the_line() -> None:
    async def main() -> None:
        rig = Rig([0.5, 0.5], request=TELL)
        await rig.run(10.0)
        assert rig.counts() == {}
        sent_s = len(TELL.data) * CHARACTER_S
        assert rig.times() == [0.5, pytest.approx(0.5 + sent_s + GAP_S)]

    virtual_time.run(main())


@pytest.mark.parametrize("late_s", [1.2, 1.4985, 1.5, 1.5005])
def test_a_late_answer_is_not_that_to_the_next_request(late_s: float) -> None:
    """Whether it comes before the next request is due, or while the gap before it is kept."""

    async def main() -> None:
        rig = Rig([0.5, 2.0], [[(1.4995, b"x"), (late_s, b"A")], []])
        await rig.run(10.0)
        assert rig.counts() == {"polls": 2, "timeouts": 2}
        assert len(rig.written) == 2

    virtual_time.run(main())


def test_what_is_left_of_a_frame_is_no_part_of_the_answer() -> None:
    async def main() -> None:
        rig = Rig([0.5], [[(0.1, b"A")]])
        rig.loop.call_at(0.2, rig.receive, b"held")
        await rig.run(10.0)
        assert rig.flushed_s == [0.5]
        assert rig.counts() == {"polls": 1, "answered": 1}

    virtual_time.run(main())


def test_a_line_that_refuses_the_request_has_asked_nothing() -> None:
    async def main() -> None:
        rig = Rig([0.5])

        def refuse(_data: bytes) -> None:
            raise OSError("unplugged")

        with pytest.raises(OSError, match="unplugged"):
            await rig.poller.run(refuse)
        assert rig.counts() == {}

    virtual_time.run(main())


def test_the_decoder_s_problems_are_the_line_s() -> None:
    async def main() -> None:
        assert Rig([]).poller.problems() == ["the pump does not answer"]

    virtual_time.run(main())


@pytest.mark.parametrize("seed", range(5))
def test_the_counts_add_up_at_every_moment(seed: int) -> None:
    async def main() -> None:
        rng = random.Random(seed)
        answers = [
            [(rng.expovariate(1.0), rng.choice([b"A", b"E", b"x", b"held", b"held A"]))]
            * rng.randint(0, 3)
            for _ in range(500)
        ]
        due_s = sorted(rng.uniform(0.0, 1000.0) for _ in range(500))
        rig = Rig(due_s, answers)
        while rig.asker.due_s:
            await rig.run(rng.uniform(0.1, 100.0))
        counts = rig.counts()
        assert counts["polls"] == len(rig.written) == 500
        assert len(counts) == 5
        given_up = [poll for _, poll in rig.asker.given_up]
        assert given_up.count(Poll.TIMEOUT) == counts["timeouts"]
        assert given_up.count(Poll.INVALID) == counts["invalid"]

    virtual_time.run(main())
