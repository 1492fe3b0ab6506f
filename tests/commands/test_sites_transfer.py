"""``manage.py sites clone``, ``export``, ``import`` and ``delete``."""

import io
import json
import stat

import pytest
from django.contrib.sites.models import Site

from sitefleet.models import SiteConfig
from sitefleet.persite.storage.backend import PATH as SITE_STORAGE
from sitefleet.registry import add_site
from tests.news.models import Article

pytestmark = pytest.mark.acceptance  # two seconds


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def world(db, settings):
    """A site with three articles, and another with one."""
    settings.STORAGES = {**settings.STORAGES}
    settings.SITE_ID = None
    settings.SILENCED_SYSTEM_CHECKS = ["sitefleet.W469"]  # rooms.Key is meant so
    one = add_site("one", name="One", domain="one.example.org")
    two = add_site("two", name="Two", domain="two.example.org")
    Article.objects.bulk_create([Article(site=one, title=f"{number}") for number in range(3)])
    Article.objects.create(site=two, title="stays")
    return one, two


@pytest.fixture
def disk(settings, tmp_path):
    """A folder on the disk, for the files of all sites."""
    folder = tmp_path / "media"
    folder.mkdir()
    options = {"OPTIONS": {"OPTIONS": {"location": folder}}}
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": SITE_STORAGE, **options}}
    return folder


def rows_in(text):
    lines = [line.split() for line in text.splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}


def test_clone_makes_a_site_of_a_site(manage, world):
    ended = manage(
        "sites", "clone", "one", "next", "--domain", "next.example.org", "--name", "Next"
    )
    assert (ended.status, ended.err) == (0, "")
    new = Site.objects.get(siteconfig__slug="next")
    assert ended.out.startswith(f"Cloned Next (next, id {new.pk}), maintenance\n")
    assert rows_in(ended.out) == {"news.Article": 3}
    assert Article.objects.filter(site=new).count() == 3


def test_clone_tells_scripts(manage, world):
    words = ("--domain", "next.example.org", "--state", "active", "--json")
    facts = manage("sites", "clone", "one", "next", *words).json
    assert facts == {
        "site": Site.objects.get(siteconfig__slug="next").pk,
        "slug": "next",
        "dry_run": False,
        "rows": {"news.Article": 3},
        "files": 0,
        "left_out": {},
    }
    assert SiteConfig.objects.get(slug="next").state == "active"


@pytest.mark.parametrize(
    "words",
    [
        ("clone", "one", "next", "--domain", "next.example.org"),
        ("delete", "one"),
    ],
    ids=["clone", "delete"],
)
def test_a_rehearsal_changes_nothing(manage, world, unchanged, words):
    with unchanged():
        ended = manage("sites", *words, "--dry-run")
    assert ended.status == 0
    assert rows_in(ended.out)["news.Article"] == 3
    assert ended.out.startswith("Would ")
    assert ended.out.endswith("Dry run: nothing was changed.\n")
    assert manage("sites", *words, "--dry-run", "--json").json["dry_run"] is True
    assert Article.objects.count() == 4


@pytest.mark.parametrize(
    "words",
    [
        ("clone", "one", "next", "--domain", "next.example.org"),
        ("export", "one", "FILE"),
        ("import", "FILE"),
        ("delete", "one", "--no-input"),
    ],
    ids=["clone", "export", "import", "delete"],
)
def test_scripts_are_told_of_the_site_in_the_same_words_by_each_action(
    manage, world, tmp_path, words
):
    one, path = world[0], tmp_path / "one.jsonl"
    if words[0] == "import":
        assert manage("sites", "export", "one", str(path)).status == 0
        manage("sites", "delete", "one", "--no-input")
    facts = manage("sites", *(str(path) if w == "FILE" else w for w in words), "--json").json
    slug = "next" if words[0] == "clone" else "one"
    site = Site.objects.filter(siteconfig__slug=slug).first() or one
    assert (facts["slug"], facts["dry_run"]) == (slug, False)
    assert facts["site"] == (one.pk if words[0] in ("export", "delete") else site.pk)
    assert facts["rows"]["news.Article"] == 3


def test_an_address_that_is_taken_names_the_options_for_others(manage, world, tmp_path):
    path = str(tmp_path / "one.jsonl")
    manage("sites", "export", "one", path)
    for words in ((), ("--slug", "next")):
        ended = manage("sites", "import", path, *words)
        assert ended.status == 1
        assert "--slug and --domain" in ended.err
    ended = manage("sites", "clone", "one", "two")
    assert (ended.status, ended.err) == (1, "CommandError: The slug two is taken.\n")


def test_names_of_files_write_no_lines_of_their_own(manage, world, tmp_path, disk):
    folder = disk / "sites" / str(world[0].pk)
    folder.mkdir(parents=True)
    (folder / "x\x1b[31m\nFAKE").symlink_to(tmp_path)
    ended = manage("sites", "export", "one", str(tmp_path / "one.jsonl"))
    assert ended.out.splitlines()[-1] == r"Left behind: 'x\x1b[31m\nFAKE', a link, or not there."


def test_an_export_does_not_take_the_place_of_what_is_no_file(manage, world, tmp_path):
    ended = manage("sites", "export", "one", str(tmp_path), "--force")
    assert (ended.status, tmp_path.is_dir()) == (2, True)
    assert "is no file" in ended.err


def test_a_media_folder_that_is_none_is_told_in_a_line(manage, world, tmp_path, disk):
    (disk / "sites").write_text("none")
    ended = manage("sites", "export", "one", str(tmp_path / "one.jsonl"))
    assert (ended.status, list(tmp_path.glob("*.jsonl"))) == (1, [])
    assert "Not a directory" in ended.err
    assert "Traceback" not in ended.err


def test_what_is_interrupted_ends_in_a_line(manage, world, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("sitefleet.management.transfer.clone_site", interrupted)
    ended = manage("sites", "clone", "one", "next")
    assert (ended.status, ended.err) == (130, "Stopped.\n")


@pytest.mark.parametrize("word", ["--sit=two", "--si=two", "--cross=why"])
def test_options_on_which_much_depends_are_written_in_full(manage, world, unchanged, word):
    with unchanged():
        ended = manage("shell", word, "-c", "print('has run')")
    assert (ended.status, ended.out) == (2, "")
    assert "in full" in ended.err


def test_what_was_exported_is_imported(manage, world, tmp_path, unchanged):
    path = tmp_path / "one.jsonl.gz"
    ended = manage("sites", "export", "one", str(path))
    assert (ended.status, rows_in(ended.out)) == (0, {"news.Article": 3})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes()[:2] == b"\x1f\x8b"
    assert list(tmp_path.iterdir()) == [path]
    beside = ("--slug", "next", "--domain", "next.example.org")
    with unchanged():
        assert manage("sites", "import", str(path), *beside, "--dry-run").status == 0
    ended = manage("sites", "import", str(path), *beside)
    assert ended.status == 0
    assert ended.out.startswith("Imported One (next, id ")
    assert Article.objects.filter(site__siteconfig__slug="next").count() == 3


def test_an_export_is_streamed_to_standard_output_and_told_beside(manage, world):
    ended = manage("sites", "export", "one", "-")
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert (lines[0]["site"]["slug"], list(lines[-1])) == ("one", ["digest"])
    assert rows_in(ended.err) == {"news.Article": 3}


def test_a_file_is_not_replaced_unasked(manage, world, tmp_path):
    path = tmp_path / "one.jsonl"
    path.write_text("mine")
    ended = manage("sites", "export", "one", str(path))
    assert (ended.status, path.read_text()) == (1, "mine")
    assert "--force" in ended.err
    assert manage("sites", "export", "one", str(path), "--force").status == 0
    assert path.read_text().startswith("{")


def test_an_export_that_fails_leaves_no_file(manage, world, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sitefleet.management.transfer.write", full)
    path = tmp_path / "one.jsonl"
    ended = manage("sites", "export", "one", str(path))
    assert (ended.status, list(tmp_path.iterdir())) == (1, [])
    assert "No space left" in ended.err
    assert manage("sites", "export", "one", str(tmp_path / "no" / "such")).status == 1


@pytest.mark.parametrize(
    ("words", "ends"),
    [
        (("clone", "nobody", "next"), (2, "No site has")),
        (("clone", "one", "two", "--domain", "next.example.org"), (1, "two is taken")),
        (("clone", "one", "next", "--domain", "two.example.org"), (1, "is the domain of")),
        (("clone", "one", "next", "--exclude", "no.Such"), (1, "no model")),
        (("import", "/no/such/file"), (2, "cannot be read")),
        (("import", __file__), (1, "none of an exported site")),
        (("import", "-", "--map", __file__), (2, "cannot be read")),
        (("export", "nobody", "-"), (2, "No site has")),
        (("delete", "nobody", "--no-input"), (2, "No site has")),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(manage, world, unchanged, words, ends):
    status, said = ends
    with unchanged():
        ended = manage("sites", *words)
    assert (ended.status, ended.out) == (status, "")
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_delete_asks_for_the_slug(manage, world, unchanged, monkeypatch):
    monkeypatch.setattr("sys.stdin", Terminal("two\n"))
    with unchanged():
        assert manage("sites", "delete", "one").status == 1
    monkeypatch.setattr("sys.stdin", Terminal("one\n"))
    ended = manage("sites", "delete", "one")
    assert ended.status == 0
    assert rows_in(ended.err)["news.Article"] == 3
    assert [article.title for article in Article.objects.all()] == ["stays"]


def test_delete_without_a_terminal_takes_an_option(manage, world, unchanged, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("one\n"))
    with unchanged():
        assert manage("sites", "delete", "one").status == 2
    ended = manage("sites", "delete", "one", "--no-input", "--json")
    assert ended.json["rows"] == {"news.Article": 3, "sitefleet.SiteConfig": 1, "sites.Site": 1}
    assert list(Site.objects.all()) == [world[1]]


def test_a_bar_is_shown_to_those_who_wait(manage, world, monkeypatch):
    monkeypatch.setattr("sitefleet.management.transfer.PATIENCE", 0)
    monkeypatch.setattr("sys.stderr", Terminal())
    import sys  # noqa: PLC0415 - the one of this test

    manage("sites", "clone", "one", "next", "--domain", "next.example.org")
    assert "3/3 news.Article" in sys.stderr.getvalue()
