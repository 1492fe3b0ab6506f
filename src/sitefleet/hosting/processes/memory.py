"""How much memory a process really owns: its private pages, those that it shares left out."""

from __future__ import annotations

from pathlib import Path


def private_bytes(pid: int | None) -> int | None:
    """Return the private bytes of a process; None where that is not told.

    Linux tells it in ``/proc/<pid>/smaps_rollup``, see proc(5).
    """
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return None
    lines = (line.split() for line in text.splitlines() if line.startswith("Private_"))
    return sum(int(words[1]) * 1024 for words in lines)
