"""On which site a command acts: that of ``--site``, or the default, which is then told; or all."""

from __future__ import annotations

import os
import sys
from argparse import SUPPRESS, Action, ArgumentError, ArgumentParser
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from django.contrib.sites.models import Site
from django.db import DatabaseError

from sitefleet.background import working_on
from sitefleet.conf import process_site_id
from sitefleet.environments import get_environment
from sitefleet.exceptions import InvalidSetting, SiteError
from sitefleet.lookup import default_site_id, get_site
from sitefleet.management import CROSSING, OPTION, USAGE_ERROR
from sitefleet.management.crossing import crossing, crossing_by_nature, tell_refusals
from sitefleet.management.output import printable, tell_database_error
from sitefleet.presented import shown
from sitefleet.sync import find_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from django.core.management.base import BaseCommand, CommandParser

VARIABLE = "SITEFLEET_SITE"
#: How the site of a process is called in what is told.
OWN = "SITE_ID in the environment"
_FLEET_WIDE = (
    "check collectstatic compilemessages createcachetable dbshell diffsettings findstatic flush"
    " forsites help inspectdb makemessages makemigrations migrate optimizemigration"
    " remove_stale_contenttypes resolvehost rls runserver showmigrations sites sqlflush sqlmigrate"
    " sqlsequencereset squashmigrations startapp startproject test testserver version"
)
#: Workers of other people's task queues: each task brings its own site, or is for none.
WORKERS = frozenset({"db_worker", "rqworker"})
#: Commands that act on the project or on the whole fleet: no site to be told about.
FLEET_WIDE = frozenset(_FLEET_WIDE.split()) | WORKERS
#: Of these the ones that mind SITEFLEET_SITE; the others may run before that site exists.
SERVING = "runserver"
MINDING = frozenset({SERVING, "resolvehost"})
#: Sites that are looked at before a server starts.
LOOKED_AT = 1000


def on_site(command: BaseCommand, name: str) -> BaseCommand:
    """Return ``command`` so that it understands ``--site`` and ``--cross-site``.

    It tells a site that was chosen by default, and what was refused for want of one.
    """
    run, create = command.run_from_argv, command.create_parser
    tell_refusals(command)

    def create_parser(*args: Any, **kwargs: Any) -> CommandParser:
        parser = create(*args, **kwargs)
        _add_option(parser)
        _add_crossing(parser)
        return parser

    def run_from_argv(argv: list[str]) -> None:
        parser = create(argv[0], argv[1])
        own_site, own_crossing = not _add_option(parser), not _add_crossing(parser)
        reason, argv = (None, argv) if own_crossing else take_option(argv, CROSSING)
        if reason is not None:
            if not own_site and take_option(argv)[0] is not None:
                _stop(f"{OPTION} and {CROSSING} exclude each other.")
            with _without_idle_pin(), _entered(reason, name):
                run(argv)
            return
        if own_site:
            with _without_idle_pin():
                run(argv)
        else:
            _run_on_site(run, name, argv)

    command.run_from_argv = run_from_argv  # type: ignore[method-assign]
    command.create_parser = create_parser  # type: ignore[method-assign]
    return command


def _run_on_site(run: Callable[[list[str]], None], name: str, argv: list[str]) -> None:
    key, rest = take_option(argv)
    source = OPTION
    if name == SERVING:
        _tell_foreign_rows()
    if key is None and (name not in FLEET_WIDE or name == SERVING):
        key, source = os.environ.get(VARIABLE) or None, VARIABLE
    if key is None:
        default, source = _choose(name)
        if default is not None and not is_quiet(rest):
            _tell(default, source)
        with ExitStack() as stack:
            stack.enter_context(nullcontext() if name in MINDING else _without_idle_pin())
            # Entered, so that what follows the site follows the default one too.
            stack.enter_context(nullcontext() if default is None else working_on(default))
            stack.enter_context(crossing_by_nature(name))
            run(rest)
        return
    with acting_on(_find(key, source)) as site:
        if source == VARIABLE and name not in FLEET_WIDE and not is_quiet(rest):
            _tell(site, VARIABLE)
        run(rest)


def _choose(name: str) -> tuple[Site | None, str]:
    """Return the site that a command acts on by default, and what says so.

    Ends the process where ``SITE_ID`` in its environment names no site.
    """
    if name in FLEET_WIDE and name != SERVING:
        return None, ""
    try:
        own = process_site_id()
    except InvalidSetting as error:
        _stop(str(error))
    if own is None:
        return (None if name == SERVING else _default_site()), "SITE_ID"
    site = _find(str(own), OWN)
    if name != SERVING:
        return site, OWN
    if os.environ.get("RUN_MAIN") != "true":  # the reloader's child: its parent has told
        sys.stderr.write(printable(f"Serving {site.name} alone, by {OWN}.\n"))
    return None, ""


@contextmanager
def acting_on(site: Site) -> Iterator[Site]:
    """Let ``site`` be the current site here, and the default in threads and child processes."""
    before = os.environ.get(VARIABLE)
    view = shown(site)
    os.environ[VARIABLE] = view.slug if view is not None and view.slug else str(site.pk)
    try:
        with working_on(site):
            yield site
    finally:
        _put_back(before)


@contextmanager
def _without_idle_pin() -> Iterator[None]:
    """Leave SITEFLEET_SITE out where it names no site yet: this command may be the one to make it.

    Django's own checks, and its ``migrate``, look at ``settings.SITE_ID``, which else says so.
    """
    before = os.environ.get(VARIABLE)
    try:
        default_site_id()
    except (DatabaseError, SiteError):
        os.environ.pop(VARIABLE, None)
    try:
        yield
    finally:
        _put_back(before)


def _put_back(value: str | None) -> None:
    if value is None:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = value


def take_option(argv: list[str], option: str = OPTION) -> tuple[str | None, list[str]]:
    """Take an option out of a command line; what stands behind ``--`` is not looked at."""
    end = argv.index("--") if "--" in argv else len(argv)
    key, rest = None, []
    words = iter(argv[:end])
    for word in words:
        name, equals, value = word.partition("=")
        if name != option:
            rest.append(word)
        elif equals:
            key = value
        else:
            key = next(words, "")
    return key, rest + argv[end:]


def is_quiet(argv: list[str]) -> bool:
    """Tell whether a command line asks for silence by Django's ``-v0``."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-v", "--verbosity", nargs="?")
    return bool(parser.parse_known_args(argv)[0].verbosity == "0")


class _Shown(Action):
    """An option that is in the help, and taken out before a command parses its line.

    So what argparse takes for it is a beginning of it, and nobody has acted on that.
    """

    def __call__(self, parser: ArgumentParser, *_: Any) -> NoReturn:
        """Refuse it."""
        parser.error(f"write {self.option_strings[0]} in full")


def _add_option(parser: CommandParser) -> bool:
    """Show the option in a command's help; False when the command has one of its own."""
    help_text = "act on this site: id, slug or domain"
    try:
        parser.add_argument(OPTION, action=_Shown, default=SUPPRESS, metavar="SITE", help=help_text)
    except ArgumentError:
        return False
    return True


def _add_crossing(parser: CommandParser) -> bool:
    """Do the same for the rows of all sites."""
    help_text = "see and change the rows of all sites; why, goes to the log"
    try:
        parser.add_argument(
            CROSSING, action=_Shown, default=SUPPRESS, metavar="REASON", help=help_text
        )
    except ArgumentError:
        return False
    return True


def _entered(reason: str, name: str) -> AbstractContextManager[None]:
    try:
        return crossing(reason, name)
    except ValueError:
        _stop(f'{CROSSING} needs a reason, such as {CROSSING}="yearly report".')


def _find(key: str, source: str) -> Site:
    if not key:
        _stop(f"{OPTION} needs the id, slug or domain of a site.")
    try:
        return get_site(key, source=source)
    except (SiteError, UnicodeEncodeError) as error:
        _stop(str(error))
    except DatabaseError as error:
        _stop(f"The site {key!r} cannot be looked up. {tell_database_error(error)}")


def _stop(message: str) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    sys.exit(USAGE_ERROR)


def _default_site() -> Site | None:
    with suppress(DatabaseError, SiteError):
        pk = default_site_id()
        if pk is not None:
            return get_site(pk)
    return None  # The command is going to say it, if it needs a site at all.


def _tell_foreign_rows() -> None:
    if os.environ.get("RUN_MAIN") == "true":
        return  # The reloader's child: its parent has told.
    with suppress(DatabaseError, SiteError):
        environment = get_environment()
        if not environment.is_live and find_changes(environment, environment, limit=LOOKED_AT):
            sys.stderr.write(
                "Rows of Site hold names of another environment: code that reads them by itself"
                " links there. `manage.py sites sync` writes the hosts of this one.\n"
            )


def _tell(site: Site, source: str) -> None:
    if len(Site.objects.all()[:2]) == 1:
        return
    view = shown(site)
    slug = f" ({view.slug})" if view is not None else ""
    line = printable(f"Acting on {site.name}{slug}, by {source}. Another site: {OPTION}=SLUG")
    sys.stderr.write(f"{line}\n")
