"""``--site=SLUG`` or ``--cross-site=REASON`` on every command, by one line in ``manage.py``.

::

    from sitefleet.management import execute_from_command_line

The first pins the process to the site while the command runs, its threads and child processes
too. The second lets the command, not its threads, see the rows of all sites. A command that has
such an option of its own keeps it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from django.apps import apps
from django.conf import settings
from django.core.management import ManagementUtility

from sitefleet.terminal import open_standard_streams

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand

OPTION = "--site"
CROSSING = "--cross-site"
USAGE_ERROR = 2
NEEDED = ("django.contrib.sites", "sitefleet")


class FleetUtility(ManagementUtility):
    """Django's command line, with ``--site``."""

    def __init__(self, argv: list[str] | None = None) -> None:
        super().__init__(argv)
        self.argv = _command_first(self.argv)

    def execute(self) -> None:
        """Run the command; say it where an app is missing without which Django cannot set up."""
        try:
            super().execute()
        except RuntimeError:
            _stop_without_apps()
            raise

    def fetch_command(self, subcommand: str) -> BaseCommand:
        """Return the command, so that it runs on the site that was asked for."""
        _stop_without_apps()
        command = super().fetch_command(subcommand)
        if not apps.app_configs:
            return command  # No settings, or `runserver` is about to tell what is wrong with them.
        from sitefleet.management.acting import on_site  # noqa: PLC0415 - Django is set up by now

        return on_site(command, subcommand)


def execute_from_command_line(argv: list[str] | None = None) -> None:
    """Run a management command: a drop-in for Django's function of this name."""
    open_standard_streams()
    FleetUtility(argv).execute()


def _stop_without_apps() -> None:
    entries = settings.INSTALLED_APPS if settings.configured else NEEDED
    # As written in the settings: `runserver` empties the registry when Django cannot set up.
    known = {entry.partition(".apps.")[0] for entry in entries}
    known |= {config.name for config in apps.app_configs.values()}
    missing = [repr(name) for name in NEEDED if name not in known]
    if missing:
        sys.stderr.write(f"This manage.py needs {' and '.join(missing)} in INSTALLED_APPS.\n")
        sys.exit(USAGE_ERROR)


def _command_first(argv: list[str]) -> list[str]:
    """Move an option of ours in front of the command behind it, where Django expects options."""
    option, equals, _ = argv[1].partition("=") if argv[1:2] else ("", "", "")
    size = 1 if equals else 2
    if option in {OPTION, CROSSING} and len(argv) > size + 1:
        return [argv[0], argv[size + 1], *argv[1 : size + 1], *argv[size + 2 :]]
    return argv
