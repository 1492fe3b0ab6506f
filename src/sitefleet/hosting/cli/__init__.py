"""The `sitefleet` command."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError
from sitefleet.hosting.cli.parser import make_parser
from sitefleet.hosting.cli.terminal import Terminal
from sitefleet.hosting.supervising.control import REFUSED, Refused
from sitefleet.terminal import (
    INTERRUPTED,
    ending_with_its_reader,
    open_standard_streams,
    printable,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 done, 1 refused or failed, 2 wrong usage."""
    open_standard_streams()
    with ending_with_its_reader():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # names have letters that a terminal may not know
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    options = make_parser().parse_args(arguments)
    try:
        status: int = options.run(options, Terminal(sys.stdout))
    except Refused as error:
        _complain(error)
        return error.status
    except BrokenPipeError:  # `sitefleet plan | head`
        raise
    except (SiteError, OSError) as error:
        _complain(error)
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _complain(error: Exception) -> None:
    # What a program has said may have lines: those below are set in, so that none passes for ours.
    text = "\n  ".join(map(printable, str(error).split("\n")))
    sys.stderr.write(f"sitefleet: {text}\n")
