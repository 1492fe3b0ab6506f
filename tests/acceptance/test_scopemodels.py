"""Models of an unmodified app get a site: its migrations, its upgrades, and the way back."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.acceptance.processes import ROOT
from tests.acceptance.test_mariadb import mariadb, prelude  # noqa: F401 - fixtures

pytestmark = pytest.mark.acceptance

TALKS = ROOT / "tests" / "outsiders" / "talks"
SETTINGS = """
import json
from pathlib import Path
from sitefleet import ACCEPTED_HOST

HERE = Path(__file__).parent
SECRET_KEY = "not a secret"
ALLOWED_HOSTS = [ACCEPTED_HOST]
INSTALLED_APPS = [
    "talks",  # ahead of sitefleet: the order does not matter
    "website",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sites",
    "sitefleet",
]
MIDDLEWARE = ["sitefleet.middleware.SiteMiddleware"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {"default": {"BACKEND": "sitefleet.persite.cache.LocMemCache"}}
SIGNING_BACKEND = "sitefleet.persite.signing.SiteSigner"
USE_TZ = True
DATABASES = {"default": json.loads((HERE / "database.json").read_text())}
SITEFLEET = json.loads((HERE / "sitefleet.json").read_text())
"""
MANAGE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
if __name__ == "__main__":
    execute_from_command_line(sys.argv)
"""
READY = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
import django
django.setup()
"""
SEED = """
from sitefleet.registry import add_site
from talks.models import *
for slug in ("berlin", "paris"):
    add_site(slug, domain=f"{slug}.example.org", name=slug)
for year in (2024, 2025, 2025):
    Link.objects.create(talk=Talk.objects.create(title=f"T{year}", year=year), url="x")
Keynote.objects.create(title="K", year=2024)
Tag.objects.create(name="python")
"""
SCOPED = {"talks.Talk": {}, "talks.Link": {}, "talks.Tag": {"shared": True}}
BY_YEAR = {
    "talks.Talk": {"field": "year", "values": {"2024": "berlin", "2025": "paris"}},
    "talks.Link": {"follow": "talk"},
}
STEPS = ["0001_sites_added.py", "0002_sites_given.py", "0003_sites_required.py"]


class Project:
    """A project with an app of somebody else, and one of its own."""

    def __init__(self, folder, database, driver=""):
        self.folder = folder
        (folder / "settings.py").write_text(driver + SETTINGS)
        (folder / "settings_ready.py").write_text(READY)
        (folder / "manage.py").write_text(MANAGE)
        (folder / "website").mkdir()
        (folder / "website" / "__init__.py").touch()
        shutil.copytree(TALKS, folder / "talks", ignore=shutil.ignore_patterns("__pycache__"))
        self.use(database)
        self.scope({})

    def use(self, database):
        (self.folder / "database.json").write_text(json.dumps(database))

    def scope(self, models):
        conf = {"SCOPED_APP": "website", "SCOPED_MODELS": models}
        (self.folder / "sitefleet.json").write_text(json.dumps(conf))

    def run(self, *arguments, code=0):
        """Run a command; return what it says, without its styles."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"},
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        text = done.stdout + done.stderr
        assert done.returncode == code, text
        assert "Traceback" not in text, text
        return text

    def manage(self, *arguments, code=0):
        return self.run("manage.py", *arguments, code=code)

    def python(self, code, status=0):
        return self.run("-c", f"import settings_ready\n{code}", code=status).strip()

    def rows(self, model="Talk", fields=("title", "site__name")):
        return json.loads(
            self.python(
                "import json\nfrom talks import models\nfrom sitefleet.scoping import cross_site\n"
                f"with cross_site('test'):\n    rows = models.{model}.objects.order_by('pk')\n"
                f"    print(json.dumps([*rows.values_list(*{fields!r})]))"
            )
        )

    def migrations(self):
        return sorted(path.name for path in self.folder.glob("website/migrations/0*.py"))

    def upgrade(self, name, operations, **replacements):
        """Let upstream come with another migration, and with models that are changed alike."""
        last = max(self.folder.glob("talks/migrations/0*.py")).stem
        (self.folder / "talks" / "migrations" / f"{name}.py").write_text(
            "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n"
            f"    dependencies = [('talks', '{last}')]\n    operations = [{operations}]\n"
        )
        path = self.folder / "talks" / "models.py"
        text = path.read_text()
        for old, new in replacements.items():
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)

    def columns(self):
        """Return the columns of the table of talks."""
        return self.python(
            "from django.db import connection\n"
            "with connection.cursor() as cursor:\n"
            "    found = connection.introspection.get_table_description(cursor, 'talks_talk')\n"
            "print(*sorted(column.name for column in found))"
        ).split()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """The settings of an empty database; and a function that makes more."""
    if request.param == "sqlite":
        numbers = iter(range(100))
        engine = "django.db.backends.sqlite3"
        return lambda: {"ENGINE": engine, "NAME": str(tmp_path / f"db{next(numbers)}.sqlite3")}
    server = request.getfixturevalue("postgres_server")

    def new():
        name = f"talks_{next(server.numbers)}"
        server.sql(f"CREATE DATABASE {name}")
        return server.settings(name)

    return new


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "project"
    path.mkdir()
    return path


@pytest.fixture
def project(folder, database):
    return Project(folder, database())


@pytest.fixture
def seeded(project):
    return seed(project)


def seed(project):
    project.manage("migrate", "-v0")
    project.python(SEED)
    project.scope(SCOPED)
    (project.folder / "sites.json").write_text(json.dumps(BY_YEAR))
    return project


@pytest.fixture
def scoped(seeded):
    """The project with all its rows on sites."""
    seeded.manage("scopemodels", "--mapping", "sites.json")
    seeded.manage("migrate", "-v0")
    return seeded


def test_rows_get_their_site_and_django_sees_no_change_left(seeded):
    assert "E416" in seeded.manage("makemigrations", "--check", "--dry-run", code=1)
    assert "3 of talks.Link, 4 of talks.Talk" in seeded.manage("scopemodels", code=1)
    assert "Add field site to talk" in seeded.manage("scopemodels", "--check", code=1)
    assert "Nothing" not in seeded.manage("scopemodels", "--site", "paris", "--dry-run")
    assert seeded.migrations() == []
    seeded.manage("scopemodels", "--mapping", "sites.json")
    assert seeded.migrations() == STEPS
    assert "No migration is missing" in seeded.manage("scopemodels", "--check")
    seeded.manage("sqlmigrate", "website", "0001")
    assert "Add field site to talk (in talks)" in seeded.manage("migrate", "--plan")
    seeded.manage("migrate", "-v0")
    assert seeded.rows() == [
        ["T2024", "berlin"], ["T2025", "paris"], ["T2025", "paris"], ["K", "berlin"],
    ]  # fmt: skip
    assert {site for _, site in seeded.rows("Link", ("url", "site__name"))} == {"berlin", "paris"}
    assert seeded.rows("Tag", ("name", "site")) == [["python", None]]
    # What upstream itself has not written is still all that Django finds.
    said = seeded.manage("makemigrations", "--dry-run", "talks")
    assert "Change Meta options on keynote" in said
    assert "site" not in said.split("Migrations for", 1)[1]
    assert "No changes" in seeded.manage("makemigrations", "--check", "--dry-run", "website")


def test_migrating_backwards_refuses_to_forget_whose_rows_are(scoped):
    said = scoped.manage("migrate", "website", "zero", "-v0", code=1)
    assert "rows of 2 sites" in said
    assert "site_id" in scoped.columns()
    scoped.manage("scopemodels", "--save", "kept.csv")
    assert (scoped.folder / "kept.csv").read_text().count("\n") == 8
    scoped.python(
        "from sitefleet.scoping import cross_site\nfrom talks.models import *\n"
        "from django.contrib.sites.models import Site\nsite = Site.objects.get(name='paris')\n"
        "with cross_site('test'):\n    Talk.objects.update(site=site)\n"
        "    Link.objects.update(site=site)"
    )
    scoped.manage("migrate", "talks", "zero", "-v0")
    scoped.manage("migrate", "-v0")
    assert "site_id" in scoped.columns()


def test_a_model_leaves_and_comes_back(scoped):
    scoped.manage("scopemodels", "--save", "kept.csv")
    scoped.scope({"talks.Link": {}})
    assert "E416" in scoped.manage("migrate", code=1)
    assert "--remove" in scoped.manage("scopemodels", code=1)
    scoped.manage("scopemodels", "--remove")
    assert "rows of 2 sites" in scoped.manage("migrate", "-v0", code=1)
    assert "site_id" in scoped.columns()
    assert "0005" in scoped.manage("scopemodels", "--remove", "--forget", "--site", "paris")
    scoped.manage("migrate", "-v0")
    assert "site_id" not in scoped.columns()
    scoped.manage("migrate", "website", "0003", "-v0", "--skip-checks")
    scoped.scope(SCOPED)
    assert {site for _, site in scoped.rows()} == {"paris"}
    scoped.scope({"talks.Link": {}})
    scoped.manage("migrate", "-v0")
    scoped.scope(SCOPED)
    scoped.manage("scopemodels", "--mapping", "kept.csv")
    scoped.manage("migrate", "-v0")
    assert scoped.rows()[0] == ["T2024", "berlin"]
    assert "No migration is missing" in scoped.manage("scopemodels", "--check")


def test_upstream_adds_renames_and_deletes_later(scoped, database):
    scoped.upgrade(
        "0004_room",
        'migrations.AddField("keynote", "room", models.CharField(max_length=9, default=""))',
        **{"    fee =": '    room = models.CharField(max_length=9, default="")\n    fee ='},
    )
    scoped.manage("migrate", "-v0")
    scoped.upgrade(
        "0005_address",
        'migrations.RenameModel("Link", "Address")',
        **{"class Link": "class Address"},
    )
    assert "no such model" in scoped.manage("migrate", code=1)
    scoped.scope({"talks.Talk": {}, "talks.Address": {}, "talks.Tag": {"shared": True}})
    assert "No migration is missing" in scoped.manage("scopemodels", "--check")
    scoped.manage("migrate", "-v0")
    assert scoped.rows("Address", ("url", "site__name"))[0] == ["x", "berlin"]
    # In a new database they come in an order that works.
    old = json.loads((scoped.folder / "database.json").read_text())
    scoped.use(database())
    scoped.manage("migrate", "-v0")
    assert "site_id" in scoped.columns()
    scoped.upgrade("0006_gone", 'migrations.DeleteModel("Address")')
    path = scoped.folder / "talks" / "models.py"
    text = path.read_text()
    path.write_text(text[: text.index("class Address")] + text[text.index("class Imported") :])
    assert "E411" in scoped.manage("migrate", code=1)
    scoped.scope({"talks.Talk": {}, "talks.Tag": {"shared": True}})
    for one in (old, database()):
        scoped.use(one)
        scoped.manage("migrate", "-v0")
        assert "site_id" in scoped.columns()
    assert "No migration is missing" in scoped.manage("scopemodels", "--check")


def test_a_migration_without_rows_says_what_to_write_where_there_are_some(project, database):
    project.scope(SCOPED)
    project.manage("scopemodels")
    project.manage("migrate", "-v0")
    project.use(database())
    project.scope({})
    project.manage("migrate", "-v0", "--skip-checks", "talks")
    project.manage("migrate", "-v0", "--skip-checks", "sitefleet")
    project.python(SEED)
    project.scope(SCOPED)
    said = project.manage("migrate", "-v0", code=1)
    assert "4 rows of talks.Talk have no site" in said or "3 rows of talks.Link" in said


def test_on_mariadb_rows_get_their_site_too(folder, mariadb, prelude):  # noqa: F811 - fixtures
    project = seed(Project(folder, mariadb, prelude))
    project.manage("scopemodels", "--mapping", "sites.json")
    project.manage("migrate", "-v0")
    assert [site for _, site in project.rows()] == ["berlin", "paris", "paris", "berlin"]
    assert "rows of 2 sites" in project.manage("migrate", "website", "zero", "-v0", code=1)
