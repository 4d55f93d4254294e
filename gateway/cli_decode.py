"""The command that tries a decoder on a capture, a pipe or a few payloads."""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli_options import counted, say
from gateway.errors import ConfigError, GatewayError

if TYPE_CHECKING:
    from gateway.decode import Decoding
    from gateway.model import Device, Observation

CHUNK_BYTES = 1 << 16

_to_json = json.JSONEncoder(ensure_ascii=False).encode

_STAGES = {  # by `gateway.ledger.Stage`, which is not imported before there is a report
    "noise": ("byte", "of noise"),
    "malformed": ("frame", "refused"),
    "malformed_element": ("element", "refused"),
    "ignored": ("frame", "ignored"),
    "repeated_frame": ("frame", "repeated"),
    "refused": ("value", "refused"),
    "implausible": ("reading", "without a value"),
    "repeated": ("reading", "repeated"),
}


@click.command()
@click.argument("decoder", required=False)
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--list", "as_list", is_flag=True, help="List the decoders instead.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="""An option of the decoder, as in the configuration: columns='["a", "b"]'.""",
)
@click.option("--topic", help="Each line is the payload of a message that came under this topic.")
@click.option(
    "--format",
    "as_lines",
    type=click.Choice(["json", "lp"]),
    default="json",
    show_default=True,
    callback=lambda _context, _option, value: value == "lp",
    help="JSON, or line protocol.",
)
@click.option(
    "--decoders",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Look for decoders in this folder too.",
)
@click.option("--verbose", is_flag=True, help="Show an example of everything that was not taken.")
def decode(
    decoder: str | None,
    file: BufferedIOBase,
    options: tuple[str, ...],
    topic: str | None,
    folder: Path | None,
    *,
    as_list: bool,
    as_lines: bool,
    verbose: bool,
) -> None:
    """Decode a capture or a pipe: one line per observation.

    What cannot be decoded is counted at the end, on standard error.

    Example: sensor-gateway decode text capture.bin
    """
    from gateway import logs
    from gateway.clock import now_ns
    from gateway.decode import Decoding
    from gateway.decoders import decoders
    from gateway.sinks.line_protocol import encode

    known, problems = decoders(folder)
    for problem in problems:
        click.echo(problem, err=True)
    if as_list:
        for device in known.values():
            say(f"{device.name:<12}{device.summary}")
        return
    if decoder is None:
        raise click.UsageError("Which DECODER? --list shows them.")
    device = _device(decoder, known)
    logs.configure(verbose=False, for_people=True)
    try:
        decoding = Decoding(device, _options(device, options), topic, now_ns)
    except ConfigError as error:
        raise ConfigError([f"{decoder}: {problem}" for problem in error.problems]) from error
    try:
        for observations in _read(file, decoding):
            shown = map(encode if as_lines else _as_json, observations)
            click.echo(b"".join(line + b"\n" for line in shown), nl=False)
    finally:
        for line in _report(decoding, examples=verbose):
            click.echo(line, err=True)


def _device(name: str, known: Mapping[str, "Device"]) -> "Device":
    from gateway.nearest import did_you_mean

    if name not in known:
        raise ConfigError([f"no such decoder: {name}{did_you_mean(name, known)}"])
    return known[name]


def _options(device: "Device", pairs: Sequence[str]) -> dict[str, object]:
    """What stands behind `--option`, by key."""
    from gateway.nearest import did_you_mean

    options: dict[str, object] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator:
            raise ConfigError([f"option {pair}: KEY=VALUE is expected"])
        if key not in device.options:
            hint = did_you_mean(key, sorted(device.options))
            raise ConfigError([f"no such option: {key}{hint}"])
        options[key] = _value(text)
    return options


def _value(text: str) -> object:
    """The value that the text is in TOML, else the text: shells take quotes away."""
    try:
        document = tomllib.loads(f"value = {text}")
    except ValueError:
        return text
    return document["value"] if len(document) == 1 else text


def _read(file: BufferedIOBase, decoding: "Decoding") -> Iterator[list["Observation"]]:
    """What the input means, piece by piece as it comes."""
    try:
        while chunk := file.read1(CHUNK_BYTES):
            yield decoding.feed(chunk)
    except OSError as error:
        raise GatewayError(f"cannot read: {error.strerror}") from error
    yield decoding.close()


def _as_json(observation: "Observation") -> bytes:
    measurement, tags, _ = observation.series
    shown = {
        "measurement": measurement,
        "tags": dict(tags),
        "fields": observation.fields,
        "time": iso_time(observation.time_ns),
    }
    return _to_json(shown).encode("utf-8", "replace")


def iso_time(time_ns: int) -> str:
    """RFC 3339 in UTC, with as many digits of the second as there are, up to nine."""
    seconds, fraction = divmod(time_ns, 10**9)
    text = datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")
    return f"{text}.{fraction:09}".rstrip("0").rstrip(".") + "Z"


def _report(decoding: "Decoding", *, examples: bool) -> Iterator[str]:
    """What went in, what came out, and what did not, each with its reason."""
    account = decoding.account
    yield (
        f"{counted(account.bytes_received, 'byte')}, {counted(account.frames, 'frame')}: "
        f"{account.decoded} decoded"
        + (f", {account.state} that only say what follows" if account.state else "")
        + f"; {counted(account.observations, 'observation')}"
    )
    for (_, stage, reason), loss in decoding.ledger.losses.items():
        thing, what = _STAGES[stage]
        yield f"{counted(loss.count, thing)} {what}: {reason}"
        if examples and loss.example:
            yield f"  {loss.example}"
