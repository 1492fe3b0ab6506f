"""Loads the project as servers do, to see whether that can be: run before a start or a reload.

Exit status 1, and the reason as the last line of what it says, where it cannot.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import django
from django.core.handlers.wsgi import WSGIHandler
from django.urls import get_resolver


def main() -> int:
    """Load settings, applications, middleware and URLconf."""
    try:
        django.setup()
        WSGIHandler()
        _ = get_resolver().url_patterns
    except BaseException as error:  # noqa: BLE001 - code of the project may raise anything
        sys.stderr.write("".join(traceback.format_exception(error)))
        sys.stderr.write(f"{tell(error)}\n")
        return 1
    return 0


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
