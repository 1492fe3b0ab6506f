"""Whether the code of a project can be loaded: tried in a process of its own, before a reload."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sitefleet.hosting.project import Project

MODULE = "sitefleet.serving.trial"
PATIENCE = 60.0


async def find_mistake(project: Project) -> str:
    """Return in one line why the code cannot be loaded as it is now; empty when it can."""
    process = await asyncio.create_subprocess_exec(
        *(project.python, "-m", MODULE),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=project.variables(),
        cwd=project.root,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        return f"it takes longer than {PATIENCE:.0f} seconds to load."
    lines = said.decode(errors="replace").splitlines()
    return (lines[-1] if lines else "it ends without a word.") if process.returncode else ""
