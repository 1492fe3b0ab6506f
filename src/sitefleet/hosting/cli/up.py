"""`sitefleet up`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sitefleet.hosting.cli.common import port_hint, project_of, wishes_of
from sitefleet.hosting.cli.terminal import GREEN, RED
from sitefleet.hosting.processes.logs import OWN
from sitefleet.hosting.supervising.journal import where
from sitefleet.hosting.supervising.running import Hooks, run
from sitefleet.terminal import printable

if TYPE_CHECKING:
    from argparse import Namespace

    from sitefleet.hosting.cli.terminal import Terminal
    from sitefleet.hosting.planning.plan import Plan

SHOWN = 20


def up(options: Namespace, terminal: Terminal) -> int:
    """Serve all sites until this is told to stop."""
    terminal.goes_on = True
    lines = Lines(terminal, quiet=options.quiet)
    hooks = Hooks(
        show=lines.show,
        ready=lambda plan: _ready(plan, terminal),
        progress=terminal.progress,
        fail=lambda text: terminal.line(terminal.paint(printable(text), RED)),
    )
    run(project_of(options), wishes_of(options), hooks)
    terminal.line("stopped")
    return 0


class Lines:
    """Shows what processes say, behind the slug of the site or the name of the process."""

    def __init__(self, terminal: Terminal, *, quiet: bool) -> None:
        self._terminal, self._quiet = terminal, quiet
        self._plan: Plan | None = None
        self._slugs: dict[str, str] = {}

    def show(self, name: str, line: str, plan: Plan) -> None:
        """Show a line of a process, or of an instance of this plan."""
        if self._quiet and name != OWN:
            return
        if plan is not self._plan:
            self._plan = plan
            self._slugs = {instance.key: instance.slug for instance in plan.dedicated}
        self._terminal.named(self._slugs.get(name, name), line)


def _ready(plan: Plan, terminal: Terminal) -> None:
    listed = [(one.site.url, one.site.slug, one.mode) for one in plan.decisions if one.site.url]
    known = {one.site.slug for one in plan.decisions}
    examples = [one for one in plan.fleet.examples if one[0] not in known]
    listed += [(url, slug, "shared") for slug, url in examples]
    total = plan.fleet.total
    for line in terminal.table(("url", "site", "mode"), listed[:SHOWN]):
        terminal.line(line)
    if total > (shown := min(len(listed), SHOWN)):
        terminal.line(f"... and {total - shown} more")
    if hint := port_hint(plan):
        terminal.line(hint)
    terminal.line(f"{terminal.paint('ready', GREEN)} at {printable(where(plan))}")
