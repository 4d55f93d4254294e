"""The configuration: one TOML file in, plain typed values or every problem at once out.

    find -> read -> tomllib -> ${NAME} -> models (keys, types, ranges) -+-> Config
                                       -> checks (between keys) --------+-> ConfigError(problems)

`models.py` says every key's type, range, default and description, once. The JSON schema, the
reference in the documentation and the words of problems are made from it.
"""

from gateway.config.checks import warnings
from gateway.config.load import PLACES, find, load
from gateway.config.models import Config
from gateway.config.schema import schema

__all__ = ["PLACES", "Config", "find", "load", "schema", "warnings"]
