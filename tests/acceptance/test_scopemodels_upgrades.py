"""Where sites have the same values: the way back, and what upstream does later, at no loss."""

import json

import pytest

from tests.acceptance.test_scopemodels import (  # noqa: F401 - fixtures
    Project,
    database,
    folder,
    project,
    seed,
)

pytestmark = pytest.mark.acceptance

MODELS = {"talks.Talk": {}, "talks.Link": {}, "talks.Tag": {}}
MORE = """
from django.contrib.sites.models import Site
from sitefleet import override_site
from talks.models import *
site = Site.objects.get(name="paris")
with override_site(site):
    Tag.objects.create(name="python")
"""
NAME = 'models.CharField(max_length=20, unique=True, help_text="Its name.")'


@pytest.fixture
def scoped(project):  # noqa: F811 - a fixture
    """Tags are unique on each site, and two sites have the same."""
    seed(project)
    project.scope(MODELS)
    by_year = json.loads((project.folder / "sites.json").read_text())
    mapping = {"default": "berlin", **by_year}
    (project.folder / "sites.json").write_text(json.dumps(mapping))
    project.manage("scopemodels", "--mapping", "sites.json")
    project.manage("migrate", "-v0")
    project.python(MORE)
    return project


def tags(project):  # noqa: F811 - a fixture
    return project.rows("Tag", ("name", "site__name"))


def test_the_way_back_refuses_before_it_changes_anything(scoped):
    for name in ("0001", "zero"):
        assert "rows of 2 sites" in scoped.manage("migrate", "website", name, "-v0", code=1)
    scoped.scope({"talks.Talk": {}, "talks.Link": {}})
    scoped.manage("scopemodels", "--remove")
    said = scoped.manage("migrate", "-v0", code=1)
    assert "talks.Tag has rows of 2 sites" in said
    assert "scopemodels --remove --forget" in said
    assert "Changed" in scoped.manage("scopemodels", "--remove", "--forget")
    said = scoped.manage("migrate", "-v0", code=1)
    assert "name would be unique" in said
    assert "several rows of python" in said
    # It may be left, too: nothing has been lost.
    for path in scoped.folder.glob("website/migrations/000[45]*.py"):
        path.unlink()
    scoped.scope(MODELS)
    scoped.manage("migrate", "-v0")
    assert tags(scoped) == [["python", "berlin"], ["python", "paris"]]
    # And what is there twice may be given another value.
    scoped.scope({"talks.Talk": {}, "talks.Link": {}})
    scoped.manage("scopemodels", "--remove", "--forget", "--site", "berlin")
    scoped.python(
        "from talks.models import *\nTag.objects.filter(pk=Tag.objects.last().pk).update(name='x')"
    )
    scoped.manage("migrate", "-v0")
    assert scoped.rows("Tag", ("name",)) == [["python"], ["x"]]
    scoped.manage("migrate", "website", "0003", "-v0", "--skip-checks")
    scoped.scope(MODELS)
    assert {site for _, site in tags(scoped)} == {"berlin"}


def test_upstream_alters_what_is_unique_and_adds_more(scoped, database):  # noqa: F811
    scoped.upgrade(
        "0004_alter",
        f'migrations.AlterField("tag", "name", {NAME}),'
        'migrations.AlterUniqueTogether("tag", {("name", "id")}),'
        'migrations.AddConstraint("tag",'
        ' models.UniqueConstraint(fields=["name"], name="one_name"))',
        **{
            "    name = models.CharField(max_length=20, unique=True)": f"    name = {NAME}\n\n"
            '    class Meta:\n        unique_together = [("name", "id")]\n'
            '        constraints = [models.UniqueConstraint(fields=["name"], name="one_name")]',
        },
    )
    scoped.manage("scopemodels")
    scoped.manage("migrate", "-v0")
    finish(scoped, database)
    scoped.scope({"talks.Talk": {}, "talks.Link": {}})
    scoped.manage("scopemodels", "--remove", "--forget")
    scoped.manage("migrate", "-v0")
    # From here on upstream is what it was.
    done = scoped.manage("makemigrations", "--dry-run", "talks")
    assert "on tag" not in done


@pytest.mark.parametrize("renamed", [False, True], ids=["removed", "renamed"])
def test_upstream_removes_and_renames_what_was_unique(scoped, database, renamed):  # noqa: F811
    new = "    label = models.CharField(max_length=20, unique=True)" if renamed else ""
    operation = (
        'migrations.RenameField("tag", "name", "label")'
        if renamed
        else 'migrations.RemoveField("tag", "name")'
    )
    scoped.upgrade(
        "0004_name",
        f'{operation}, migrations.AddField("tag", "room", models.IntegerField(default=1))',
        **{
            "    name = models.CharField(max_length=20, unique=True)": f"{new}\n"
            "    room = models.IntegerField(default=1)",
            "return self.name": "return str(self.room)",
        },
    )
    if renamed:
        assert "label" in scoped.manage("scopemodels", "--check", code=1)
        scoped.manage("scopemodels")
    assert "No migration is missing" in scoped.manage("scopemodels", "--check")
    scoped.manage("migrate", "-v0")
    finish(scoped, database)
    scoped.manage("migrate", "talks", "0003", "-v0", "--skip-checks")
    scoped.manage("migrate", "-v0")


def finish(project, database):  # noqa: F811 - fixtures
    """See that nothing is left to do, and that a new database gets there too."""
    assert "No migration is missing" in project.manage("scopemodels", "--check")
    assert "on tag" not in project.manage("makemigrations", "--dry-run", "talks")
    assert len(project.rows("Tag", ("pk",))) == 2
    project.use(database())
    project.manage("migrate", "-v0")
    assert project.rows("Tag", ("pk",)) == []
    assert "No migration is missing" in project.manage("scopemodels", "--check")


def test_a_mapping_that_tears_rows_apart_is_refused(project):  # noqa: F811 - a fixture
    seed(project)
    project.scope(MODELS)
    mapping = {"default": "berlin", "talks.Link": {"default": "paris"}}
    (project.folder / "sites.json").write_text(json.dumps(mapping))
    project.manage("scopemodels", "--mapping", "sites.json")
    said = project.manage("migrate", "-v0", code=1)
    assert "3 by talk" in said
    assert '"follow": ' in said
    for path in project.folder.glob("website/migrations/000[23]*.py"):
        path.unlink()
    mapping["talks.Link"] = {"follow": "talk"}
    (project.folder / "sites.json").write_text(json.dumps(mapping))
    project.manage("scopemodels", "--mapping", "sites.json")
    project.manage("migrate", "-v0")
    assert {site for _, site in project.rows("Link", ("url", "site__name"))} == {"berlin"}


def test_row_level_security_goes_with_the_site(folder, request):  # noqa: F811 - a fixture
    server = request.getfixturevalue("postgres_server")
    name = f"talks_{next(server.numbers)}"
    server.sql(f"CREATE DATABASE {name}")
    server.sql(f"CREATE ROLE all_{name}")
    talks = Project(folder, server.settings(name))
    seed(talks)
    talks.manage("scopemodels", "--site", "berlin")
    talks.manage("migrate", "-v0")

    def conf(models):
        rls = {"RLS": "transaction", "RLS_ROLE": f"all_{name}"}
        more = {**rls, "SCOPED_APP": "website", "SCOPED_MODELS": models}
        (folder / "sitefleet.json").write_text(json.dumps(more))

    def locked():
        return talks.python(
            "from django.db import connection\nwith connection.cursor() as cursor:\n"
            "    cursor.execute('SELECT relname FROM pg_class WHERE relrowsecurity ORDER BY 1')\n"
            "    print(*(row[0] for row in cursor.fetchall()))"
        ).split()

    conf({"talks.Talk": {}, "talks.Link": {}, "talks.Tag": {"shared": True}})
    talks.manage("rls", "enable", "--no-input")
    assert locked() == ["talks_keynote", "talks_link", "talks_tag", "talks_talk", "talks_talk_tags"]
    conf({"talks.Link": {}, "talks.Tag": {"shared": True}})
    talks.manage("scopemodels", "--remove", "--site", "berlin")
    talks.manage("migrate", "-v0")
    assert not {"talks_talk", "talks_keynote", "talks_talk_tags"} & {*locked()}
    assert "talks_link" in locked()
    talks.manage("migrate", "website", "zero", "-v0", "--skip-checks")
    assert locked() == []
