"""From bytes or a payload to observations: framer, decoder and normalizer of one source.

    bytes --Framer--> frames --Decoder--> readings --Normalizer--> observations

This, with `intake.supervise`, is the place that isolates a device: what its framer or decoder
raises is counted, logged with its traceback, and costs its own bytes only.
"""

import logging
from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import partial

from gateway.ledger import Account, Ledger, Stage
from gateway.model import (
    Decoded,
    Decoder,
    Frame,
    Framed,
    Framer,
    Ignored,
    Implausible,
    Learned,
    Malformed,
    Noise,
    Observation,
    Reading,
    Reason,
    Repeated,
    TimeSource,
)
from gateway.normalize import Normalizer

log = logging.getLogger(__name__)


class Pipeline:
    """Decoder and normalizer of one source or subscription, with the counts between them."""

    def __init__(
        self, account: Account, ledger: Ledger, decoder: Decoder, normalizer: Normalizer
    ) -> None:
        self._account = account
        self._ledger = ledger
        self._decoder = decoder
        self._normalizer = normalizer

    def process(self, frame: Frame) -> list[Observation]:
        """The frame's observations; whatever else becomes of it stands in the ledger."""
        try:
            verdict = self._decoder.decode(frame)
        except Exception:
            # A decoder must not raise. Where one does its device alone pays, frame by frame; to
            # drop the connection instead would bring the same message back for ever.
            log.exception("%s: the decoder failed on a frame", self._account.source)
            verdict = Malformed(Reason.DECODER_FAILED, frame.data)
        match verdict:
            case Decoded(readings, malformed):
                self._account.decoded += 1
                for element in malformed:
                    self._lose(Stage.MALFORMED_ELEMENT, element.reason, element.example, frame)
                return [o for r in readings if (o := self._normalize(r, frame)) is not None]
            case Malformed(reason, example):
                self._lose(Stage.MALFORMED, reason, example or frame.data, frame)
            case Ignored(reason):
                self._lose(Stage.IGNORED, reason, frame.data, frame)
            case Learned():
                self._account.state += 1
            case Repeated(reason):
                self._lose(Stage.REPEATED_FRAME, reason, frame.data, frame)
            case _:  # a decoder of somebody else may return anything
                self._lose(Stage.MALFORMED, Reason.DECODER_FAILED, frame.data, frame)
        return []

    def _normalize(self, reading: Reading, frame: Frame) -> Observation | None:
        self._account.readings += 1
        result: Observation | Implausible | Repeated
        try:
            result = self._normalizer.normalize(reading, frame)
        except Exception:
            # Likewise: values of a type that no decoder may return, or a bug of our own.
            log.exception("%s: a reading could not be normalized", self._account.source)
            result = Implausible(Reason.DECODER_FAILED)
        if isinstance(result, Observation):
            self._account.device_times += result.time_source is TimeSource.DEVICE
            return result
        stage = Stage.REPEATED if isinstance(result, Repeated) else Stage.IMPLAUSIBLE
        self._lose(stage, result.reason, frame.data, frame)
        return None

    def _lose(self, stage: Stage, reason: Reason, example: bytes, frame: Frame) -> None:
        self._ledger.lose(self._account, stage, reason, example, now_ns=frame.received_at_ns)


class Stream:
    """A byte stream's framer and pipeline: bytes in, observations out, every byte counted."""

    def __init__(
        self, account: Account, ledger: Ledger, framer: Framer, pipeline: Pipeline
    ) -> None:
        self._account = account
        self._ledger = ledger
        self._framer = framer
        self._unused = deepcopy(framer)
        self._pipeline = pipeline

    def feed(self, data: bytes, now_ns: int) -> list[Observation]:
        """Take a chunk of any size."""
        self._account.bytes_received += len(data)
        return self._count(partial(self._framer.feed, data), now_ns)

    def close(self, now_ns: int) -> list[Observation]:
        """Wait for nothing more: the stream ended, or whoever was asked has fallen silent."""
        return self._count(self._framer.close, now_ns)

    def _count(
        self, frame: Callable[[], Iterable[Framed | Noise]], now_ns: int
    ) -> list[Observation]:
        items: Iterable[Framed | Noise]
        try:
            items = tuple(frame())
        except Exception:
            # A framer must not raise either. Where one does, what it had is lost, and a new one
            # takes its place.
            log.exception("%s: the framer failed", self._account.source)
            items = self._given_up()
        account = self._account
        found: list[Observation] = []
        for item in items:
            if isinstance(item, Noise):
                self._ledger.lose(
                    account, Stage.NOISE, item.reason, item.data, now_ns=now_ns, count=item.size
                )
                continue
            account.bytes_framed += item.size
            account.frames += 1
            account.last_frame_ns = now_ns
            found += self._pipeline.process(Frame(item.data, now_ns, first=item.first))
        account.bytes_buffered = self._framer.buffered
        return found

    def _given_up(self) -> list[Noise]:
        """Start with a framer that knows nothing of the past; what the last one had is noise."""
        self._framer = deepcopy(self._unused)
        account = self._account
        size = account.bytes_received - account.bytes_framed - account.bytes_noise
        return [Noise(b"", size, Reason.DECODER_FAILED)] if size else []
