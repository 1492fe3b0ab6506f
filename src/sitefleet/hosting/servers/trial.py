"""Whether a server takes the lines that the settings have for it: tried before it is started.

In a process of its own, since lines for gunicorn are code.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError
from sitefleet.hosting.processes.once import last_line, run_once
from sitefleet.hosting.servers import granian, workers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sitefleet.hosting.processes.project import Project

MODULE = "sitefleet.hosting.servers.trial"
#: By server, what says why it would not take what it is given; nothing where it would.
TRIALS: dict[str, Callable[[list[str]], str]] = {
    "gunicorn": lambda given: workers.why_not_lines(*given),
    "granian": granian.why_not_arguments,
}


async def try_lines(project: Project, server: str, given: Sequence[str]) -> None:
    """Raise SiteError where a server would not take its lines; OSError where that cannot be tried.

    ``given`` is for gunicorn its configuration and the lines for it, for granian all its arguments.
    """
    status, said = await run_once(
        (project.python, "-m", MODULE, server, *given),
        environment=project.variables(),
        cwd=project.root,
        late=f"SERVING['raw'][{server!r}] has not been read",
    )
    if status:
        message = f"SERVING['raw'][{server!r}] cannot be used: {last_line(said)}"
        raise SiteError(message)


def main() -> int:
    """Try what the arguments say: exit status 1, and the reason as the last line, for no."""
    server, *given = sys.argv[1:]
    reason = " ".join(TRIALS[server](given).split())
    if reason:
        sys.stderr.write(reason if reason.endswith((".", "?")) else f"{reason}.")
    return bool(reason)


if __name__ == "__main__":
    sys.exit(main())
