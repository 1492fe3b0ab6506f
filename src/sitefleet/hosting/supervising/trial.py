"""Whether the code of a project can be loaded: tried in a process of its own.

Before a start, and before each reload.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sitefleet.hosting.processes.project import Project

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
        return f"it takes longer than {PATIENCE:.0f} seconds to load."
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()  # else its end is told to a loop that is closed
    lines = said.decode(errors="replace").splitlines()
    return (lines[-1] if lines else "it ends without a word.") if process.returncode else ""
