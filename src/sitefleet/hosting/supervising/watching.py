"""Which files of a project have changed: looked at once a second, while somebody develops.

In the loop of the supervisor and not in a thread: it forks, and a thousand files take some
milliseconds.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

EVERY = 1.0
ENDINGS = (".py", ".env")
#: Folders with code that is not the project's; those that begin with a dot are left out as well.
LEFT_OUT = {"node_modules", "__pycache__", "site-packages", "venv"}


async def changes(root: Path, but: Path, every: float = EVERY) -> AsyncIterator[Path]:
    """Yield a file of each change below ``root``; what is below ``but`` is not looked at."""
    before = dict(_times(root, but))
    while True:
        await asyncio.sleep(every)
        after = dict(_times(root, but))
        changed = {path for path, _ in before.items() ^ after.items()}
        if changed:
            yield root / min(changed)
        before = after


def _times(root: Path, but: Path) -> Iterator[tuple[str, int]]:
    for folder, folders, files in os.walk(root):
        folders[:] = [
            name
            for name in folders
            if name not in LEFT_OUT and name[0] != "." and os.path.join(folder, name) != str(but)  # noqa: PTH118 - thousands a second
        ]
        for name in files:
            if name.endswith(ENDINGS):
                path = os.path.join(folder, name)  # noqa: PTH118 - as above
                try:
                    yield path, os.stat(path).st_mtime_ns  # noqa: PTH116 - as above
                except OSError:
                    continue  # it has gone meanwhile
