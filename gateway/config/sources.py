"""Where readings come from: serial ports and brokers, and what is said of their fields.

Part of `models.py`, which see.
"""

from functools import cache
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from gateway.config.ports import Baudrate, Command, Port, Way, way_of
from gateway.config.values import (
    Duration,
    Label,
    Measurement,
    MqttUrl,
    Name,
    ReadableFile,
    Secret,
    SecretFile,
    Section,
    Tags,
    Whole,
    revealed,
    unknown_name,
)
from gateway.quantities import QUANTITIES, UNITS, conversion_for, find_unit
from gateway.quantities.units import spellings
from gateway.topics import TopicPattern

Entry = TypeVar("Entry")

MQTT_PORT = 1883
MQTTS_PORT = 8883


@cache
def _spellings(dimension: str) -> tuple[str, ...]:
    """Every way to write a unit of the dimension; of any, where it is empty."""
    return tuple(text for text, unit in spellings() if dimension in ("", unit.dimension))


def _quantity(name: str) -> str:
    if name not in QUANTITIES:
        raise unknown_name("no such quantity", QUANTITIES)
    return name


def _topic(text: str) -> str:
    TopicPattern.parse(text)
    return text


def _qos(value: object) -> object:
    if value == 2:  # noqa: PLR2004 -- MQTT's "exactly once"
        raise ValueError(
            "allowed: 0 or 1; 1 is right also where devices publish with 2: a message is then "
            "acknowledged once it is on disk, and a repeated one is recognized"
        )
    return value


def _not_empty(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    if not entries:
        raise ValueError('allowed: at least one { topic = "...", decoder = "..." }')
    return entries


def _not_zero(number: float) -> float:
    if number == 0:
        raise ValueError("allowed: a number other than 0")
    return number


Number = Annotated[float, Field(allow_inf_nan=False)]
Qos = Annotated[Literal[0, 1], Whole, BeforeValidator(_qos)]
Quantity = Annotated[str, AfterValidator(_quantity), Field(title="a quantity")]
Topic = Annotated[str, AfterValidator(_topic), Field(title="a topic filter")]


class FieldRule(Section):
    """What the user says of one raw name: see `gateway.normalize`."""

    quantity: Quantity | None = Field(
        None, description="The quantity it is, whatever the device calls it."
    )
    unit: Annotated[str, Field(title="a unit")] | None = Field(
        None, description='The unit that the device sends, as `"degF"` or `"hPa"`.'
    )
    scale: Annotated[Number, AfterValidator(_not_zero)] = Field(
        1.0, description="Calibration in the device's unit: value x scale + offset."
    )
    offset: Number = Field(0.0, description="See `scale`.")
    min: Number | None = Field(
        None, description="The least plausible value, in the unit that is stored."
    )
    max: Number | None = Field(
        None, description="The greatest plausible value, in the unit that is stored."
    )
    rename: Name | None = Field(None, description="The field's name in InfluxDB.")
    drop: bool = Field(False, description="Do not store it.")  # noqa: FBT003 -- the default

    @field_validator("unit")
    @classmethod
    def _known_unit(cls, spelling: str | None, info: ValidationInfo) -> str | None:
        if spelling is None:
            return None
        quantity = QUANTITIES.get(info.data.get("quantity") or "")
        dimension = UNITS[quantity.unit].dimension if quantity and quantity.unit in UNITS else ""
        unit = find_unit(spelling, dimension)
        if unit is None:
            raise unknown_name("no such unit", _spellings(dimension))
        if quantity and conversion_for(quantity, unit) is None:
            raise ValueError(
                f"{quantity.name} is stored in {quantity.unit}, and this unit does not convert "
                "into it"
            )
        return spelling

    @field_validator("max")
    @classmethod
    def _not_below_min(cls, greatest: float | None, info: ValidationInfo) -> float | None:
        least = info.data.get("min")
        if greatest is not None and least is not None and greatest < least:
            raise ValueError("allowed: a number that is not below min")
        return greatest


class _Decoded(Section):
    """A source, or a part of one, with a decoder; what it does not know are decoder options."""

    model_config = ConfigDict(extra="allow")

    decoder: Annotated[str, Field(title="a decoder's name")] = Field(
        description='What the bytes mean, such as `"text"`, `"json"` or `"value"`. A decoder may'
        " add keys of its own to this table."
    )
    measurement: Measurement | None = Field(
        None, description="InfluxDB's measurement. Absent: the decoder's, else `sensor`."
    )
    tags: Tags = Field({}, description="Tags on its points.")
    fields: dict[str, FieldRule] = Field(
        {}, description="Rules by the name that the device uses: see `fields` below."
    )

    def options(self) -> dict[str, object]:
        """The decoder's own keys."""
        return dict(self.model_extra or {})


class Serial(_Decoded):
    name: Label = Field(description="Its name, and its points' tag `device`.")
    port: Port | None = Field(
        None,
        description="Where the bytes come from: where it is plugged in, a bridge in the network, or"
        " the gateway's standard input; see [Serial](serial.md). Required, or `command`.",
    )
    command: Command | None = Field(
        None,
        description="Instead of `port`: a program whose standard output is read, started again"
        " whenever it ends.",
    )
    baudrate: Baudrate | None = Field(
        None,
        description="Bits per second. Absent: what the decoder's devices use, else 9600."
        ' `"auto"`: found by listening, for decoders whose frames prove themselves.',
    )
    bytesize: Annotated[Literal[5, 6, 7, 8], Whole] = Field(8, description="Data bits.")
    parity: Literal["N", "E", "O", "M", "S"] = Field(
        "N", description="The parity bit: none, even, odd, mark or space."
    )
    stopbits: Annotated[Literal[1, 2], Whole] = Field(1, description="Stop bits.")
    dtr: bool | None = Field(
        None,
        description="The DTR line: `false` for boards that restart when a port is opened."
        " Absent: raised, as terminals do.",
    )
    rts: bool | None = Field(None, description="The RTS line, likewise.")
    silence_timeout: Annotated[float, Duration("0s", "30d")] = Field(
        "0s",
        validate_default=True,
        description='Open the port again after that long without a byte; `"0s"` never.',
    )

    def way(self) -> Way:
        """How the bytes come."""
        return way_of(self.port)


class Subscription(_Decoded):
    topic: Topic = Field(
        description="What to subscribe to. `{name}` matches one level and becomes a tag,"
        " `{device}` names the device, `{field}` the field; `+` and `#` as usual."
    )
    qos: Qos | None = Field(None, description="Absent: that of the `[[mqtt]]` entry.")
    retained: bool | None = Field(None, description="Absent: that of the `[[mqtt]]` entry.")


class Mqtt(Section):
    name: Label = Field(description="Its name.")
    url: MqttUrl = Field(
        description=f"The broker; `mqtts://` is TLS. Ports {MQTT_PORT} and {MQTTS_PORT} where"
        " none is given."
    )
    username: str | None = Field(None, description="The user.")
    password: Secret | None = Field(None, description='The password, as `"${NAME}"`.')
    password_file: SecretFile | None = Field(
        None, description="The same from a file; give one of the two."
    )
    ca_file: ReadableFile | None = Field(
        None, description="Certificates to trust for `mqtts` (PEM). Absent: the system's."
    )
    cert_file: ReadableFile | None = Field(
        None, description="The gateway's own certificate (PEM), where the broker asks for one."
    )
    key_file: ReadableFile | None = Field(
        None, description="Its key. Absent: it stands in `cert_file`."
    )
    protocol: Literal["auto", "5", "3.1.1"] = Field(
        "auto", description='The version of MQTT; `"auto"` tries 5, then 3.1.1.'
    )
    client_id: Label | None = Field(
        None,
        description="How the broker knows the gateway's session. Absent: its name and a random"
        " number that is kept in `data_dir`.",
    )
    qos: Qos = Field(
        1, description="1: every message is acknowledged once it is on disk; 0: without."
    )
    retained: bool = Field(
        False,  # noqa: FBT003 -- the default
        description="Whether retained messages count: they are old values, sent at every start.",
    )
    keepalive: Annotated[float, Duration("5s", "18h")] = Field(
        "60s", validate_default=True, description="How often a silent connection is tried."
    )
    max_unacknowledged: int = Field(
        5_000,
        ge=1,
        le=10_000,
        description="Messages that may wait for the disk before the gateway reads no more for the"
        " moment.",
    )
    broker_window: int = Field(
        20,
        ge=1,
        le=65_535,
        description="Messages that the broker sends ahead (mosquitto: max_inflight_messages);"
        " half of them waiting are committed at once.",
    )
    subscribe: Annotated[tuple[Subscription, ...], AfterValidator(_not_empty)] = Field(
        strict=False, description="What to subscribe to, as a list of tables."
    )

    def address(self) -> tuple[str, int]:
        """Host and port."""
        url = urlsplit(self.url)
        return url.hostname or "", url.port or (MQTTS_PORT if self.tls() else MQTT_PORT)

    def tls(self) -> bool:
        return self.url.startswith("mqtts:")

    def secret_password(self) -> str | None:
        return revealed(self.password, self.password_file)

    def qos_of(self, subscription: Subscription) -> int:
        return self.qos if subscription.qos is None else subscription.qos

    def takes_retained(self, subscription: Subscription) -> bool:
        return self.retained if subscription.retained is None else subscription.retained
