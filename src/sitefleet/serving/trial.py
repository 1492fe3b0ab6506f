"""Loads the project as servers do, to see whether that can be: run before a reload.

Exit status 1, and the reason as the last line of what it says, where it cannot.
"""

from __future__ import annotations

import sys
import traceback

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
        at = f" ({error.filename}, line {error.lineno})" if isinstance(error, SyntaxError) else ""
        text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
        sys.stderr.write(f"{type(error).__name__}: {text}{at}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
