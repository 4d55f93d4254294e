"""What may stand as a name or a tag's value in InfluxDB: rules for everything that is configured.

Each returns its text, or raises ValueError with words that say what is allowed, and never the text.
"""

from typing import Final

LABEL_MAX: Final = 256


def label(text: str) -> str:
    """The value of a tag, or the name of an entry."""
    if not text or len(text) > LABEL_MAX or not text.isprintable() or text != text.strip():
        raise ValueError(f"allowed: 1 to {LABEL_MAX} printable characters, no space at either end")
    if text.endswith("\\"):
        raise ValueError("allowed: text that does not end with a backslash (InfluxDB)")
    return text


def name(text: str) -> str:
    """The name of a measurement, tag or field."""
    if text.startswith("_") or text == "time":
        raise ValueError('InfluxDB keeps "time" and names that begin with "_" for itself')
    return label(text)


def measurement(text: str) -> str:
    """The name of a measurement."""
    if text == "units":
        raise ValueError("the measurement units holds the units of all fields: take another name")
    return name(text)
