"""Files that a running Emperor reads: each is there whole, or not at all."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from sitefleet.hosting.uwsgi.ini import SOCKET_EXTENSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def write(path: Path, text: str) -> bool:
    """Write a file for this user alone, in one step; return whether it was another before.

    Its time is a later whole second than before, as the Emperor counts in those.
    """
    try:
        if path.read_text(encoding="utf-8") == text:
            return False
        earliest = int(path.stat().st_mtime) + 1
    except FileNotFoundError:
        earliest = 0
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    moment = max(int(time.time()), earliest)
    os.utime(new, (moment, moment))
    new.replace(path)
    return True


def write_vassals(folder: Path, vassals: Mapping[str, tuple[str, str]]) -> None:
    """Write the file of each vassal, by key, and what it listens on."""
    folder.mkdir(exist_ok=True, mode=0o700)
    for key, (text, address) in vassals.items():
        # The address first: without one a vassal would start at once, without a socket.
        write(folder / f"{key}.ini{SOCKET_EXTENSION}", address)
        write(folder / f"{key}.ini", text)


def vassals_in(folder: Path) -> set[str]:
    """Return the keys of the vassals that have a file."""
    return {path.stem for path in folder.glob("*.ini")}


def remove_vassals(folder: Path, keys: Iterable[str]) -> None:
    """Remove the files of vassals: the Emperor ends them."""
    for key in keys:
        path = folder / f"{key}.ini"
        path.unlink(missing_ok=True)
        path.with_name(path.name + SOCKET_EXTENSION).unlink(missing_ok=True)
