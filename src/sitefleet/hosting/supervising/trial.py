"""Whether a project can be served as it is now: tried in a process of its own.

Before a start, and before each reload.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError
from sitefleet.hosting.processes.once import last_line, run_once

if TYPE_CHECKING:
    from sitefleet.hosting.processes.project import Project

MODULE = "sitefleet.serving.trial"


#: How the process ends that tries it.
MISTAKE, NO_SITES = 1, 3


@dataclass(frozen=True, slots=True)
class Found:
    """What is wrong, in one line each; empty where nothing is."""

    mistake: str = ""
    """Why the code cannot be loaded."""
    trouble: str = ""
    """Why its sites cannot be read: the code may be good, and the database away."""


async def try_project(project: Project) -> Found:
    """Return what is wrong with a project as it is now."""
    command = (project.python, "-m", MODULE)
    try:
        status, said = await run_once(
            command, environment=project.variables(), cwd=project.root, late="It has not loaded"
        )
    except (SiteError, OSError) as error:
        return Found(str(error))
    if status == NO_SITES:
        return Found(trouble=last_line(said))
    return Found(last_line(said) if status else "")
