"""Files that commands write: standard output, a device, or a file that is complete or not there.

A file is on disk before it takes its name: whoever deletes the original afterwards has the copy.
"""

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import cast

from gateway.errors import StoreError
from gateway.spool.salvage import sync_directory

STANDARD_OUTPUT = Path("-")
_STDOUT_FILENO = 1


@contextmanager
def output_file(output: Path) -> Iterator[BufferedIOBase]:
    """A file for writing; compressed where its name ends in `.gz`, `-` is standard output.

    Raises StoreError.
    """
    try:
        if output == STANDARD_OUTPUT:
            with open(_STDOUT_FILENO, "wb", closefd=False) as file:
                yield file
        elif output.exists() and not output.is_file():  # a device, a pipe
            with output.open("wb") as file:
                yield file
        else:
            with _complete_file(output.resolve()) as complete:
                yield complete
    except OSError as error:
        raise StoreError(f"{output}: {error.strerror}") from error


@contextmanager
def _complete_file(path: Path) -> Iterator[BufferedIOBase]:
    """A file that takes its name when it is complete."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            if path.suffix == ".gz":
                with gzip.open(file, "wb") as compressed:
                    yield cast("BufferedIOBase", compressed)
            else:
                yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_directory(path.parent)
    finally:
        part.unlink(missing_ok=True)
