"""Loads the project as servers do, and looks at its sites, to see whether that can be.

Run before a start or a reload: processes that find no database answer nothing, where those that
run have their sites in memory. Exit status 1, or 3 where only the sites cannot be read,
and the reason as the last line of what it says.
"""

from __future__ import annotations

import sys
import traceback
from contextlib import suppress
from pathlib import Path

import django
from django.core.handlers.wsgi import WSGIHandler
from django.db import Error
from django.urls import get_resolver

from sitefleet.hosting.supervising.trial import MISTAKE, NO_SITES


def main() -> int:
    """Load settings, applications, middleware and URLconf; ask the database for the sites."""
    try:
        django.setup()
        WSGIHandler()
        _ = get_resolver().url_patterns
    except BaseException as error:  # noqa: BLE001 - code of the project may raise anything
        sys.stderr.write("".join(traceback.format_exception(error)))
        sys.stderr.write(f"{tell(error)}\n")
        return MISTAKE
    from sitefleet.databases import site_connection  # noqa: PLC0415 - needs the settings
    from sitefleet.triggers import read_generation  # noqa: PLC0415 - as above

    try:
        read_generation(site_connection())
    except Error as error:
        sys.stderr.write(f"{why_unreadable(error)}\n")
        return NO_SITES
    return 0


def why_unreadable(error: Error) -> str:
    """Return in one line why the database did not tell its sites: is it away, or without tables."""
    from sitefleet.databases import site_connection  # noqa: PLC0415 - needs the settings

    reason, connection = " ".join(str(error).split()), site_connection()
    with suppress(Error):
        connection.close()
        connection.ensure_connection()
        return f"the tables of sites cannot be read, run `manage.py migrate`: {reason}"
    return f"the database does not answer: {reason}"


def tell(error: BaseException) -> str:
    """Return in one line what is wrong, and where in the project."""
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    file, line = _place(error)
    place = Path(file)
    if place.is_relative_to(Path.cwd()):
        place = place.relative_to(Path.cwd())
    return f"{type(error).__name__}: {text}{f' ({place}, line {line})' if file else ''}"


def _place(error: BaseException) -> tuple[str, int]:
    """Return file and line of a mistake: the last of the project's own, else nothing."""
    if isinstance(error, SyntaxError):
        return error.filename or "", error.lineno or 0
    frames = [
        (frame.filename, frame.lineno or 0)
        for frame in traceback.extract_tb(error.__traceback__)
        if _is_of_project(Path(frame.filename))
    ]
    return frames[-1] if frames else ("", 0)


def _is_of_project(path: Path) -> bool:
    return path.is_relative_to(Path.cwd()) and "site-packages" not in path.parts


if __name__ == "__main__":
    sys.exit(main())
