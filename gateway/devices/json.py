"""JSON: one object per message or line, flat or nested, or an array of them.

`gateway.objects` says what becomes of it; the names are those of the payload. On a serial port a
line that is no JSON (boot messages) is malformed and costs only itself.
"""

from gateway.framing.delimited import Lines
from gateway.model import Device, Frame, Verdict
from gateway.objects import OPTIONS, ObjectReader


class JsonDecoder:
    def __init__(self, *, time: str = "", timezone: str = "", device: str = "") -> None:
        self._objects = ObjectReader(time=time, timezone=timezone, device=device)

    def decode(self, frame: Frame) -> Verdict:
        return self._objects.decode(frame)


DEVICE = Device(
    name="json",
    summary="JSON objects, flat or nested, or arrays of them",
    decoder=JsonDecoder,
    framer=Lines,
    options=OPTIONS,
)
