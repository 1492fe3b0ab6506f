"""Many rows, or keys, some at a time."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import Model, QuerySet

#: Keys in one statement: SQLite may have been built for no more than 999 variables.
KEYS = 500
#: Rows that are changed by one statement.
ROWS = 5000


def batches(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield values in lists that any database takes in one statement."""
    rest = list(values)
    for start in range(0, len(rest), KEYS):
        yield rest[start : start + KEYS]


def in_batches(rows: QuerySet[Model]) -> Iterator[QuerySet[Model]]:
    """Yield all rows in order of their keys; a batch may be changed so that it is none of them.

    On a terminal their number is told.
    """
    total = rows.count() if sys.stderr.isatty() else 0
    done, last = 0, None
    while True:
        left = rows if last is None else rows.filter(pk__gt=last)
        keys = list(left.order_by("pk").values_list("pk", flat=True)[:ROWS])
        if not keys:
            return
        yield left.filter(pk__lte=keys[-1])
        last = keys[-1]
        done += len(keys)
        if total > ROWS:  # else it is done at once
            _show(rows.model._meta.label, done, total)


def _show(label: str, done: int, total: int) -> None:
    end = "\n" if done >= total else ""
    sys.stderr.write(f"\r\x1b[K    {label} {done}/{total} {end}")
    sys.stderr.flush()
