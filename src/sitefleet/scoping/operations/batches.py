"""Many rows, some at a time, with their number on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model, QuerySet

#: Rows that are changed by one statement.
BATCH = 5000


def in_batches(rows: QuerySet[Model]) -> Iterator[QuerySet[Model]]:
    """Yield all rows in order of their keys; a batch may be changed so that it is none of them."""
    total = rows.count() if sys.stderr.isatty() else 0
    done, last = 0, None
    while True:
        left = rows if last is None else rows.filter(pk__gt=last)
        keys = list(left.order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not keys:
            return
        yield left.filter(pk__lte=keys[-1])
        last = keys[-1]
        done += len(keys)
        if total > BATCH:  # else it is done at once
            _show(rows.model._meta.label, done, total)


def _show(label: str, done: int, total: int) -> None:
    end = "\n" if done >= total else ""
    sys.stderr.write(f"\r\x1b[K    {label} {done}/{total} {end}")
    sys.stderr.flush()
