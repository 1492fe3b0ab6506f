"""Where an export goes, and where it comes from: files, standard output and input."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from django.core.management.base import CommandError

from sitefleet.exceptions import TransferRefused
from sitefleet.management import USAGE_ERROR

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Standard output, or standard input.
STANDARD = "-"
#: Only who has made it reads an export: it has the data of people.
PRIVATE = 0o600


def read_map(path: str) -> dict[str, dict[str, Any]]:
    """Return what ``--map`` says. Raises CommandError for a file that is no such thing."""
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read: {error}"
        raise CommandError(message, returncode=USAGE_ERROR) from error
    if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
        message = f'{path} is not as {{"auth.User": {{"5": 17}}}}.'
        raise CommandError(message, returncode=USAGE_ERROR)
    return value


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """Open a file to read. Raises CommandError where it cannot be."""
    if path == STANDARD:
        yield sys.stdin.buffer
        return
    try:
        stream = Path(path).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise CommandError(message, returncode=USAGE_ERROR) from error
    with stream:
        yield stream


@contextmanager
def written(file: str, *, force: bool) -> Iterator[IO[bytes]]:
    """Open a file to write; by its name there is then a whole one, or that of before, or none.

    Raises CommandError for what is there already, TransferRefused for what cannot be written.
    """
    if file == STANDARD:
        with _standard_output() as stream:
            yield stream
        return
    path = Path(file)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    if path.exists() and not path.is_file():
        message = f"{path} is no file; {STANDARD} is standard output."
        raise CommandError(message, returncode=USAGE_ERROR)
    if path.exists() and not force:
        message = f"{path} is there already: --force replaces it."
        raise CommandError(message)
    try:
        with open(part, "wb", opener=_private) as stream:
            yield stream
        part.replace(path)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise TransferRefused(message) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def _standard_output() -> Iterator[IO[bytes]]:
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except OSError as error:
        # What is buffered has nowhere to go: Python would try it once more at its end.
        with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())
        message = f"Standard output took no more: {error.strerror}."
        raise TransferRefused(message) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL, PRIVATE)
