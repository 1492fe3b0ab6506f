"""A Wafer that has served one conference becomes the first of several; nothing of it is lost."""

import re
import shlex
import shutil

import pytest

from tests.acceptance.conferences import EXAMPLE, manage
from tests.acceptance.processes import ROOT

pytestmark = pytest.mark.acceptance

PAGE = (ROOT / "docs/rows/conferences.md").read_text("utf-8")
ALONE = """
from wafer.settings import *
from conferences.settings import DATABASES
"""
FIRST_STEP = """
from conferences.settings import *
SITEFLEET = {key: value for key, value in SITEFLEET.items() if key != "SCOPED_MODELS"}
"""
OLD_ROWS = """
from django.contrib.auth.models import User
from wafer.pages.models import Page
from wafer.talks.models import Talk
from wafer.tickets.models import Ticket, TicketType
ada = User.objects.create_user("ada", "ada@people.example")
Page.objects.create(name="Welcome", slug="index", content="As ever")
talk = Talk.objects.create(title="Old talk", abstract="-", corresponding_author=ada, status="A")
talk.authors.add(ada)
Ticket.objects.create(barcode=7, type=TicketType.objects.create(name="Entry"), user=ada)
"""
COUNT = """
from wafer.pages.models import Page
from wafer.talks.models import Talk
from wafer.tickets.models import Ticket
talks = Talk.objects.filter(authors__username="ada")
print(Page.objects.count(), talks.count(), Ticket.objects.count())
"""


@pytest.fixture
def project(tmp_path):
    """The example without the migrations that `scopemodels` wrote, and a function to run it."""
    folder = tmp_path / "project"
    shutil.copytree(
        EXAMPLE, folder, ignore=shutil.ignore_patterns("data", "migrations", "__pycache__")
    )
    (folder / "conferences/alone.py").write_text(ALONE)
    (folder / "conferences/first_step.py").write_text(FIRST_STEP)

    def run(*arguments, settings="settings", status=0):
        module = {"DJANGO_SETTINGS_MODULE": f"conferences.{settings}"}
        program = ("-m", "django") if settings == "alone" else ("manage.py",)
        done = manage(tmp_path, *arguments, folder=folder, program=program, **module)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr

    return run


def commands(title):
    """Return the commands that the page shows below a title."""
    part = re.split(r"^###? ", PAGE.partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]
    return [
        shlex.split(line) for line in re.findall(r"^python manage.py (.*)$", part, re.MULTILINE)
    ]


def test_an_existing_wafer_goes_the_way_of_the_page_and_back(project):
    project("migrate", "-v0", settings="alone")
    project("createcachetable", settings="alone")
    project("shell", "-v0", "-c", OLD_ROWS, settings="alone")
    for command in commands("1. The conference that is there becomes a site"):
        project(*command, settings="first_step")
    assert "rows that need a site" in project("scopemodels", status=1)
    for command in commands("2. All that it has becomes its own"):
        project(*command)
    project("scopemodels", "--check")
    printed = [project(*command) for command in commands("3. The next conference")]
    assert "Total: 0" in printed[1]
    assert "Total: 1" in printed[2]
    assert project("shell", "-v0", "-c", COUNT, "--site=conf2025") == "1 1 1\n"
    assert project("shell", "-v0", "-c", COUNT, "--site=conf2026") == "0 0 0\n"
    for command in commands("The way back"):
        project(*command)
    assert project("shell", "-v0", "-c", COUNT, settings="alone") == "1 1 1\n"
