"""What became of each key: kept on the disk, so that memory does not grow with the rows."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

from sitefleet.exceptions import TransferRefused
from sitefleet.scoping.batches import batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Kibibytes that SQLite keeps in memory.
MEMORY = 8192
TABLES = """
CREATE TABLE keys (space TEXT, old, new, PRIMARY KEY (space, old)) WITHOUT ROWID;
CREATE TABLE late (label TEXT, pk TEXT, field TEXT, space TEXT, old);
CREATE TABLE waiting (space TEXT, old, record TEXT, PRIMARY KEY (space, old)) WITHOUT ROWID;
CREATE TABLE files (storage TEXT, name TEXT);
"""


def simple(value: Any) -> Any:
    """Return a key as SQLite takes it: numbers as they are, else text."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return json.dumps(value, default=str)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        message = f"{value} is no key."
        raise TransferRefused(message)
    return value


class Keys:
    """Old and new keys by space, which is a model or what else has keys; on the disk."""

    def __init__(self) -> None:
        # Without a name it is a file of SQLite's own, which goes with the connection.
        self._database = sqlite3.connect("", isolation_level=None)
        for statement in (f"PRAGMA cache_size=-{MEMORY}", "PRAGMA journal_mode=OFF", "BEGIN"):
            self._database.execute(statement)
        for statement in TABLES.strip().split("\n"):
            self._database.execute(statement)

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def put(self, space: str, pairs: Iterable[tuple[Any, Any]]) -> None:
        """Note new keys by old ones. Raises TransferRefused for a key that is there already."""
        rows = [(space, simple(old), simple(new)) for old, new in pairs]
        try:
            self._database.executemany("INSERT INTO keys VALUES (?, ?, ?)", rows)
        except sqlite3.IntegrityError:
            message = f"Two rows of {space} have the same key."
            raise TransferRefused(message) from None

    def get(self, space: str, olds: Iterable[Any]) -> dict[Any, Any]:
        """Return the new keys of those that are known."""
        wanted = sorted({simple(old) for old in olds}, key=str)
        found: dict[Any, Any] = {}
        for part in batches(wanted):
            marks = ",".join("?" * len(part))
            sql = f"SELECT old, new FROM keys WHERE space = ? AND old IN ({marks})"
            found.update(self._database.execute(sql, (space, *part)))
        return found

    def put_waiting(self, space: str, old: Any, record: dict[str, Any]) -> None:
        """Note an account that is made when something refers to it. Raises as `put` does."""
        row = (space, simple(old), json.dumps(record))
        try:
            self._database.execute("INSERT INTO waiting VALUES (?, ?, ?)", row)
        except sqlite3.IntegrityError:
            message = f"Two rows of {space} have the same key."
            raise TransferRefused(message) from None

    def take_waiting(self, space: str, olds: Iterable[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Yield old keys and records of accounts that are needed now."""
        for old in sorted({simple(old) for old in olds}, key=str):
            sql = "SELECT record FROM waiting WHERE space = ? AND old = ?"
            found = self._database.execute(sql, (space, old)).fetchone()
            if found is not None:
                yield old, json.loads(found[0])

    def put_late(self, label: str, pk: Any, field: str, space: str, old: Any) -> None:
        """Note a reference to a row that is yet to come."""
        row = (label, json.dumps(pk, default=str), field, space, simple(old))
        self._database.execute("INSERT INTO late VALUES (?, ?, ?, ?, ?)", row)

    def late(self) -> Iterator[tuple[str, Any, str, Any, Any]]:
        """Yield label, key, field, old and new key (None: there is no such row) of those noted."""
        sql = (
            "SELECT l.label, l.pk, l.field, l.old, k.new FROM late l"
            " LEFT JOIN keys k ON k.space = l.space AND k.old = l.old ORDER BY l.rowid"
        )
        for label, pk, field, old, new in self._database.execute(sql):
            yield label, json.loads(pk), field, old, new

    def put_file(self, storage: str, name: str) -> None:
        """Note a file that has been written."""
        self._database.execute("INSERT INTO files VALUES (?, ?)", (storage, name))

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield storage and name of the files that have been written."""
        yield from self._database.execute("SELECT storage, name FROM files")
