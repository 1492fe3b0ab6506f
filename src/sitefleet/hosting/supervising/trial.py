"""Whether the code of a project can be loaded: tried in a process of its own.

Before a start, and before each reload.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError
from sitefleet.hosting.processes.once import last_line, run_once

if TYPE_CHECKING:
    from sitefleet.hosting.processes.project import Project

MODULE = "sitefleet.serving.trial"


async def find_mistake(project: Project) -> str:
    """Return in one line why the code cannot be loaded as it is now; empty when it can."""
    command = (project.python, "-m", MODULE)
    try:
        status, said = await run_once(
            command, environment=project.variables(), cwd=project.root, late="It has not loaded"
        )
    except (SiteError, OSError) as error:
        return str(error)
    return last_line(said) if status else ""
