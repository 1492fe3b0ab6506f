"""``--cross-site=REASON`` on every command, and what a refusal tells on the command line."""

from __future__ import annotations

import getpass
import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from sitefleet.exceptions import CrossSiteWrite, SiteRequired
from sitefleet.management import CROSSING, OPTION
from sitefleet.management.output import printable
from sitefleet.scoping import cross_site

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from django.core.management.base import BaseCommand

#: Commands of Django that act on the rows of all sites by their nature, and why.
BY_NATURE = {"remove_stale_contenttypes": "content types are of no site, and what refers to them"}
_REFUSALS = (SiteRequired, CrossSiteWrite)


def crossing(reason: str, command: str) -> AbstractContextManager[None]:
    """Return what lets a command see the rows of all sites; the log names the user of the system.

    Raises ValueError for an empty reason.
    """
    return cross_site(reason, by=f"{_user()} (manage.py {command})")


def crossing_by_nature(command: str) -> AbstractContextManager[None]:
    """Return the same for a command of `BY_NATURE`, and for all others what does nothing."""
    reason = BY_NATURE.get(command)
    return nullcontext() if reason is None else crossing(reason, command)


def tell_refusals(command: BaseCommand) -> None:
    """Let a statement that is refused end ``command`` with a sentence and status 1.

    With ``--traceback`` Django shows where it was.
    """
    execute = command.execute

    def telling(*args: Any, **options: Any) -> Any:
        try:
            return execute(*args, **options)
        except _REFUSALS as error:
            if options.get("traceback"):
                raise
            raise CommandError(_told(error)) from error
        except CommandError as error:
            reason = error.__cause__ or error.__context__  # as `dumpdata` wraps all that it meets
            if isinstance(reason, _REFUSALS) and not options.get("traceback"):
                raise CommandError(_told(reason), returncode=error.returncode) from reason
            raise

    command.execute = telling  # type: ignore[method-assign]


def _told(error: Exception) -> str:
    ways = f"Name the site by {OPTION}=SLUG; or, if rows of all sites are meant, say why by"
    return printable(f"{error.args[0]} {ways} {CROSSING}=REASON.")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # an id without a name, as in containers
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
