"""What was truly sent: totals per device, and a record with one line per reading.

The record is newline-delimited JSON. A reading enters it when its last byte is in the kernel with a
reader attached (serial) or when the broker has acknowledged it (QoS 1 and 2; at QoS 0 when it is
handed to the socket), with `values` under the product's own names. `damaged` names the fault that
may keep a reading from arriving; without it the reading must arrive. `copies` says how often it was
sent, if not once.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import TextIO

from simulators.devices import to_json
from simulators.script import Sent, Step


@dataclass(slots=True)
class Account:
    """The totals of one device; `messages` are writes on a serial line, publishes on a broker."""

    source: str
    device: str
    readings: int = 0
    damaged: int = 0
    messages: int = 0
    bytes: int = 0
    acknowledged: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def totals(self) -> dict[str, object]:
        """Return the totals as plain values."""
        names = ("readings", "damaged", "messages", "bytes", "acknowledged")
        return {name: getattr(self, name) for name in names} | {
            "faults": dict(sorted(self.faults.items()))
        }


class Tally:
    """All accounts, and the record if one is wanted."""

    def __init__(self, record: TextIO | None = None) -> None:
        """Count, and write every reading to `record`."""
        self._record = record
        self.accounts: dict[str, Account] = {}

    def open(self, source: str, device: str) -> Account:
        """Return a new account; a device has one."""
        account = self.accounts[device] = Account(source, device)
        return account

    def wrote(self, account: Account, step: Step) -> None:
        """Count the bytes and the faults of a step that is on the wire."""
        account.messages += 1
        account.bytes += len(step.data)
        if step.faults:
            account.faults.update(step.faults)

    def sent(self, account: Account, sent: Sent, at: float, damaged: str = "") -> None:
        """Count and record a reading; `damaged` says what the wire did to it beyond its script."""
        reason = sent.damaged or damaged
        account.readings += 1
        account.damaged += bool(reason)
        if self._record is None:
            return
        line: dict[str, object] = {
            "source": account.source,
            "device": account.device,
            "sequence": sent.sequence,
            "values": sent.values,
            "sent_at": round(at, 6),
        }
        if reason:
            line |= {"damaged": True, "fault": reason}
        if sent.copies > 1:
            line["copies"] = sent.copies
        self._record.write(to_json(line) + "\n")

    def flush(self) -> None:
        """Let readers of the record see what is in it so far."""
        if self._record is not None:
            self._record.flush()

    def summary(self) -> dict[str, object]:
        """Return the totals of each device and of all."""
        every = self.accounts.values()
        names = ("readings", "damaged", "messages", "bytes", "acknowledged")
        total: dict[str, object] = {
            name: sum(getattr(each, name) for each in every) for name in names
        }
        faults: Counter[str] = Counter()
        for each in every:
            faults.update(each.faults)
        total["faults"] = dict(sorted(faults.items()))
        return {"total": total, "devices": {each.device: each.totals() for each in every}}
