"""Commands as people run them: in this process, and in one of their own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.contrib.sites.models import Site
from django.core.management import base, get_commands

from sitefleet.generation import Generation
from sitefleet.management import execute_from_command_line
from sitefleet.models import Alias, SiteConfig
from sitefleet.registry import add_site

ROOT = Path(__file__).parents[2]
PROBES = "tests.commands.probes"

MANAGE = """\
import os
import sys
from sitefleet.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project_settings")
    execute_from_command_line(sys.argv)
"""
SETTINGS = """\
from tests.settings import *

INSTALLED_APPS = [*INSTALLED_APPS, {probes!r}]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {database!r}}}}}
"""


@dataclass
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def manage(db, capsys, monkeypatch):
    """``manage.py`` in this process."""
    for name in ("tell", "own_site", "misbehave"):
        monkeypatch.setitem(get_commands(), name, PROBES)
    # A command closes its connections when it ends: this one is the test's.
    monkeypatch.setattr(base.connections, "close_all", lambda: None)

    def run(*words):
        capsys.readouterr()
        try:
            execute_from_command_line(["manage.py", *words])
            status = 0
        except SystemExit as end:
            status = end.code or 0
        output = capsys.readouterr()
        assert "Traceback" not in output.out
        return Ended(status, output.out, output.err)

    return run


@dataclass
class Project:
    """A directory with a ``manage.py``, whose commands run in their own processes."""

    path: Path

    def start(self, *words, environment=None, **options):
        return subprocess.Popen(
            [sys.executable, "manage.py", *words],
            cwd=self.path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **(environment or {})},
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def run(self, *words, environment=None):
        with self.start(*words, environment=environment) as process:
            out, err = process.communicate(timeout=60)
        return Ended(process.returncode, out, err)


@pytest.fixture
def project(file_database, tmp_path):
    """A project with the sites one, two and three in a SQLite file."""
    for number in ("one", "two", "three"):
        add_site(number, name=number.title(), domain=f"{number}.example.org")
    tmp_path.joinpath("manage.py").write_text(MANAGE)
    settings = SETTINGS.format(probes=PROBES, database=str(file_database))
    tmp_path.joinpath("project_settings.py").write_text(settings)
    return Project(tmp_path)


def rows():
    """All that a command could have changed."""
    models = (Site, SiteConfig, Alias, Generation)
    return {model: list(model.objects.order_by("pk").values()) for model in models}


@pytest.fixture
def unchanged(db):
    """Asserts that no row is another one than at the beginning of the ``with`` block."""
    return Unchanged


class Unchanged:
    def __enter__(self):
        self.before = rows()

    def __exit__(self, kind, error, traceback):
        if error is None:
            assert rows() == self.before
