"""How commands show things: tables, JSON, a progress bar on a terminal."""

from __future__ import annotations

import json
import sys
from argparse import RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, DjangoHelpFormatter
from django.db import DatabaseError, OperationalError, ProgrammingError

from sitefleet import terminal
from sitefleet.exceptions import SiteError, UnknownSite
from sitefleet.management import USAGE_ERROR

if TYPE_CHECKING:
    from argparse import Action
    from collections.abc import Sequence

    from django.core.management.base import CommandParser


class ExampleFormatter(RawDescriptionHelpFormatter, DjangoHelpFormatter):
    """Django's help, with the examples at its end as they are written."""

    def _format_args(self, action: Action, default_metavar: str) -> str:
        """Return what stands for an argument; argparse has no word for "+" that may be left out."""
        if action.nargs == "+" and not action.required and not action.option_strings:
            return f"[{action.metavar} ...]"
        return super()._format_args(action, default_metavar)


class FleetCommand(BaseCommand):
    """A command with examples in its help, whose errors are a line and no traceback."""

    examples = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return the parser, with the examples."""
        kwargs.setdefault("epilog", f"examples:\n{self.examples}")
        kwargs.setdefault("formatter_class", ExampleFormatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def run_from_argv(self, argv: list[str]) -> None:
        """Run as from a command line; end quietly where Ctrl-C is pressed or nobody reads."""
        with terminal.ending_with_its_reader():
            try:
                super().run_from_argv(argv)
            except KeyboardInterrupt:
                self.stderr.write("Stopped.")
                sys.exit(terminal.INTERRUPTED)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run; say what went wrong where the caller can do something about it."""
        try:
            return super().execute(*args, **options)
        except UnknownSite as error:
            raise CommandError(str(error), returncode=USAGE_ERROR) from error
        except (SiteError, UnicodeEncodeError) as error:
            raise CommandError(printable(str(error))) from error
        except ValidationError as error:
            raise CommandError(printable("\n".join(error.messages))) from error
        except DatabaseError as error:
            raise CommandError(tell_database_error(error)) from error
        except BrokenPipeError:  # `manage.py sites | head`
            raise
        except OSError as error:
            raise CommandError(printable(_tell_system_error(error))) from error


def tell_database_error(error: DatabaseError) -> str:
    """Return what is wrong with the database, in one line."""
    lines = str(error).splitlines() or [type(error).__name__]
    missing = isinstance(error, (OperationalError, ProgrammingError))
    hint = " Has `manage.py migrate` been run?" if missing else ""
    return f"The database says: {lines[0]}.{hint}"


def _tell_system_error(error: OSError) -> str:
    name = f"{error.filename}: " if error.filename is not None else ""
    return f"{name}{error.strerror or error}."


def printable(text: str) -> str:
    """Return a text of one line or several in which each character is seen as what it is."""
    return terminal.printable(text, kept="\n")


def one_line(value: Any) -> str:
    """Return a value of JSON on one line: text as it is, but for its line breaks."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text.replace("\r", "").replace("\n", "\\n")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows below a head, in columns."""
    return "\n".join(terminal.columns(head, rows))


def as_json(value: Any) -> str:
    """Return a value as JSON for scripts: indented, letters as they are."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
