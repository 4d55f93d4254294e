"""What `sensor-gateway decode` does: a capture or a pipe through framer, decoder and normalizer.

The parts are those of a source (`gateway.pipeline`), so what comes out is what would be stored, and
the ledger says what became of the rest. Three things differ, because bytes from a file did not
arrive just now: whatever time a device states is believed; the input begins with a whole line
unless noise precedes it; and with a topic each line is the payload of one message.

Limits: nothing is kept but what a source keeps, so memory does not grow with the input.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.catalogue import Catalogue
from gateway.clock import Clock
from gateway.decoders import set_up
from gateway.framing.delimited import Lines
from gateway.ledger import Account, Ledger
from gateway.model import Decoder, Device, Frame, Framed, Noise, Observation, Verdict
from gateway.normalize import Normalizer
from gateway.payloads import PAYLOAD_MAX
from gateway.pipeline import Pipeline, Stream
from gateway.series import SeriesRegistry
from gateway.sinks.line_protocol import TIME_MAX_NS
from gateway.times import is_since_boot

SOURCE: Final = "input"


class Decoding:
    """One input from its first byte to its last."""

    def __init__(
        self, device: Device, options: Mapping[str, object], topic: str | None, clock: Clock
    ) -> None:
        """Raise ConfigError where the options are wrong.

        Args:
            device: what decodes.
            options: the decoder's.
            topic: each line is a message that came under it; None: a byte stream, if the device
                has such.
            clock: gives the time of what states none.
        """
        decoder, framer = set_up(device, options)
        self.ledger = Ledger()
        self.account = account = self.ledger.account(SOURCE, "input")
        self._clock = clock
        if framer is None or topic is not None:
            framer, decoder = _Payloads(), _Messages(decoder, topic or "")
        else:
            decoder = _Whole(decoder, account)
        normalizer = _normalizer(account, self.ledger, topic or device.name)
        pipeline = Pipeline(account, self.ledger, decoder, normalizer)
        self._stream = Stream(account, self.ledger, framer, pipeline)

    def feed(self, data: bytes) -> list[Observation]:
        """Take a piece of any size."""
        return self._counted(self._stream.feed(data, self._clock()))

    def close(self) -> list[Observation]:
        """The input is at its end."""
        return self._counted(self._stream.close(self._clock()))

    def _counted(self, observations: list[Observation]) -> list[Observation]:
        self.account.observations += len(observations)
        return observations


class _Payloads(Lines):
    """Messages, one a line; the last one needs no line break."""

    def __init__(self) -> None:
        super().__init__(PAYLOAD_MAX)

    def close(self) -> Sequence[Framed | Noise]:
        if not self.buffered:
            return super().close()
        *others, last = *self.feed(b"\n"), *super().close()
        return [*others, last._replace(size=last.size - 1)]


class _Whole:
    """A decoder of a stream whose first line is whole, unless noise precedes it."""

    def __init__(self, decoder: Decoder, account: Account) -> None:
        self._decoder = decoder
        self._account = account

    def decode(self, frame: Frame) -> Verdict:
        if frame.first and not self._account.bytes_noise:
            frame = frame._replace(first=False)
        return self._decoder.decode(frame)


class _Messages:
    """A decoder of payloads that came under a topic."""

    def __init__(self, decoder: Decoder, topic: str) -> None:
        self._decoder = decoder
        self._topic = topic

    def decode(self, frame: Frame) -> Verdict:
        return self._decoder.decode(frame._replace(topic=self._topic, first=False))


def _normalizer(account: Account, ledger: Ledger, device: str) -> Normalizer:
    return Normalizer(
        account=account,
        ledger=ledger,
        catalogue=Catalogue([]),
        registry=SeriesRegistry(),
        device=device,
        tags={},
        rules={},
        believes=_is_date,
    )


def _is_date(observed_at_ns: int, _received_at_ns: int) -> bool:
    """Whether line protocol can say it, and a clock that ran from 1970 on did not."""
    return not is_since_boot(observed_at_ns) and observed_at_ns <= TIME_MAX_NS
