"""The project that is served: where it is, and the settings and Python it runs with."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from sitefleet.exceptions import SiteError

VARIABLE = "DJANGO_SETTINGS_MODULE"
_IN_MANAGE = re.compile(rf"""["']{VARIABLE}["']\s*,\s*["']([\w.]+)["']""")


@dataclass(frozen=True, slots=True)
class Project:
    """A directory with a ``manage.py``, and what its processes start with."""

    root: Path
    settings: str
    python: str = sys.executable
    environment: dict[str, str] = field(default_factory=dict)
    """Variables that its processes get beside those of this one."""

    def variables(self) -> dict[str, str]:
        """Return the environment of its processes: no site, unless one is set for them."""
        inherited = {key: value for key, value in os.environ.items() if key not in PINS}
        path = os.pathsep.join(filter(None, (str(self.root), inherited.get("PYTHONPATH"))))
        own = {VARIABLE: self.settings, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
        return {**inherited, **own, **self.environment}


#: Variables that pin a process to one site: they are set for each process, never inherited.
PINS = ("SITE_ID", "SITEFLEET_SITE")


def find_project(start: Path | None = None, settings: str = "") -> Project:
    """Return the project in a directory or above it.

    ``settings`` goes before the environment, and that before what ``manage.py`` names. Raises
    SiteError, which says what was looked for.
    """
    folder = (start or Path.cwd()).resolve()
    root = next((f for f in (folder, *folder.parents) if (f / "manage.py").is_file()), None)
    module = settings or os.environ.get(VARIABLE, "") or (_named_in(root) if root else "")
    if root is None and not module:
        message = f"There is no manage.py in {folder} or above it: name the project by --project."
        raise SiteError(message)
    if not module:
        message = f"{root}/manage.py names no settings: give them by --settings."
        raise SiteError(message)
    return Project(root or folder, module)


def _named_in(root: Path) -> str:
    text = (root / "manage.py").read_text(encoding="utf-8", errors="replace")
    found = _IN_MANAGE.search(text)
    return found[1] if found else ""
