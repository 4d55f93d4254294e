"""Every section and key of the configuration: its type, range, default and description, once.

The models, here and in `sources.py`, are the only source: the file is validated by them; the JSON
schema, the reference in `docs/configuration.md` and the words of problems are made from them. What
depends on several keys or on the registry of decoders is checked in `checks.py`.

Durations are seconds and sizes are bytes here; secrets show themselves only when asked.
"""

import socket
from typing import Annotated, Literal

from pydantic import Field

from gateway.config.sources import Mqtt, Serial
from gateway.config.values import (
    Duration,
    Folder,
    FolderThere,
    HttpUrl,
    Label,
    Listen,
    ReadableFile,
    Secret,
    SecretFile,
    Section,
    Size,
    Tags,
    Whole,
    revealed,
)


class Gateway(Section):
    name: Label = Field(
        default_factory=socket.gethostname,
        description="What this gateway is called. Absent: the name of the host.",
    )
    data_dir: Folder = Field(
        "~/.local/state/sensor-gateway",
        validate_default=True,
        description="The folder for everything that must outlive a restart. Absent:"
        " `$STATE_DIRECTORY`, which systemd sets, goes before the default.",
    )
    tags: Tags = Field({}, description='Tags on every point, such as `{ site = "farm" }`.')
    decoders: FolderThere | None = Field(
        None,
        description="A folder with decoders of your own, one file each: see"
        " [Support a new device](new-device.md).",
    )
    clock: Literal["auto", "trust"] = Field(
        "auto",
        description='`"auto"`: until the clock is synchronized readings wait for their time.'
        ' `"trust"`: the clock is right, for machines that never are; see [Time](time.md).',
    )
    clock_wait: Annotated[float, Duration("0s", "1d")] = Field(
        "10min",
        validate_default=True,
        description="How long after the machine's start synchronization is waited for.",
    )


class WhenFull(Section):
    mqtt: Literal["block", "drop_newest", "drop_oldest"] = Field(
        "block",
        description="`block`: the gateway leaves the broker, which keeps messages of QoS 1 until"
        " there is room. `drop_newest`: what arrives is refused. `drop_oldest`: it is taken, and"
        " the oldest readings of sources with this policy are dropped.",
    )
    serial: Literal["drop_newest", "drop_oldest"] = Field(
        "drop_newest", description="Likewise; a serial port cannot wait."
    )


class Spool(Section):
    max_bytes: Annotated[int, Size("1MiB", "16TiB")] = Field(
        "2GiB",
        validate_default=True,
        description="Disk space for what InfluxDB does not have yet.",
    )
    min_free: Annotated[int, Size("1MiB", "16TiB")] = Field(
        "256MiB",
        validate_default=True,
        description="Free disk space below which nothing more is taken in.",
    )
    max_age: Annotated[float, Duration("0s", "3650d")] = Field(
        "0s",
        validate_default=True,
        description='What InfluxDB has not taken for so long is dropped, and counted; `"0s"`: it is'
        " kept until it is delivered.",
    )
    when_full: WhenFull = Field(
        {},
        validate_default=True,
        description="What happens at the limit, by the kind of source.",
    )
    commit_interval: Annotated[float, Duration("10ms", "1min")] = Field(
        "1s",
        validate_default=True,
        description="The longest that a reading waits for the disk, and so what a power cut can"
        " cost from a serial port. Longer spares SD cards.",
    )


class InfluxDB(Section):
    version: Annotated[Literal[1, 2, 3], Whole] = Field(
        description="Which InfluxDB it is: it decides about the keys below."
    )
    url: HttpUrl = Field(description='Where it answers, such as `"http://localhost:8086"`.')
    org: Label | None = Field(None, description="Version 2, required: the organization.")
    bucket: Label | None = Field(None, description="Version 2, required: the bucket.")
    database: Label | None = Field(None, description="Versions 1 and 3, required: the database.")
    retention_policy: Label | None = Field(
        None, description="Version 1: the retention policy. Absent: the database's default."
    )
    token: Secret | None = Field(
        None, description='Versions 2 (required) and 3: the API token, as `"${NAME}"`.'
    )
    token_file: SecretFile | None = Field(
        None, description="The same from a file; give one of the two."
    )
    username: Label | None = Field(None, description="Version 1: the user.")
    password: Secret | None = Field(None, description='Version 1: the password, as `"${NAME}"`.')
    password_file: SecretFile | None = Field(
        None, description="The same from a file; give one of the two."
    )
    timeout: Annotated[float, Duration("100ms", "10min")] = Field(
        "10s", validate_default=True, description="How long one request may take."
    )
    flush_interval: Annotated[float, Duration("10ms", "1h")] = Field(
        "1s",
        validate_default=True,
        description="How long readings are gathered into one request.",
    )
    batch_bytes: Annotated[int, Size("1kB", "10MB")] = Field(
        "500kB",
        validate_default=True,
        description="The most that one request carries, before compression.",
    )
    drain: Literal["oldest_first", "newest_first"] = Field(
        "oldest_first",
        description="In which order a backlog is sent after an outage, beside what comes in.",
    )
    ca_file: ReadableFile | None = Field(
        None,
        description="Certificates to trust for `https` (PEM). Absent: those of the system.",
    )

    def secret_token(self) -> str | None:
        return revealed(self.token, self.token_file)

    def secret_password(self) -> str | None:
        return revealed(self.password, self.password_file)


class Console(Section):
    listen: Listen = Field(
        "127.0.0.1:9280",
        validate_default=True,
        description="Where the live page, `/health`, `/metrics` and `/api/status` are served."
        " Port 0 takes a free one.",
    )


class Config(Section):
    """A whole configuration file."""

    gateway: Gateway = Field({}, validate_default=True, description="The gateway itself.")
    spool: Spool = Field({}, validate_default=True, description="What waits on disk for InfluxDB.")
    influxdb: InfluxDB | None = Field(
        None,
        description="Where readings go. Absent: into an SQLite archive in `data_dir`.",
    )
    console: Console = Field(
        {}, validate_default=True, description="The live page and its HTTP endpoints."
    )
    serial: tuple[Serial, ...] = Field(
        (),
        strict=False,
        description="Serial ports, and whatever else brings bytes, one entry each.",
    )
    mqtt: tuple[Mqtt, ...] = Field((), strict=False, description="MQTT brokers, one entry each.")
