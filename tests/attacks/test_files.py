"""Rows 18 and 33: files of a site, and fixtures.

To clone a site, and to import what was exported from another one, which is where row 33 asks that
ids are rewritten and foreign ones refused, waits for rows that belong to a site (scoping). Here are
Django's own dumps, which keep ids as they are: they must change no other site by accident.
"""

import io
import json
from itertools import product

import pytest
from django.contrib.sites.models import Site
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command

from sitefleet import override_site
from sitefleet.models import SiteConfig
from sitefleet.registry import add_alias
from tests.attacks.project import ONE, TWO, expected, told
from tests.news.models import Article

# --- row 18: files ----------------------------------------------------------------------------


@pytest.fixture
def media(settings, tmp_path, switched_on):
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


def upload(visitor, text, name="invoice.txt", as_name=""):
    file = SimpleUploadedFile(name, text.encode(), "text/plain")
    return visitor.post("/upload/", {"name": as_name}, files={"file": file})


def files_in(media):
    return {
        str(path.relative_to(media)): path.read_text()
        for path in media.rglob("*")
        if path.is_file()
    }


def test_row_18_the_same_name_on_two_sites_never_meets(visit, sites, media):
    visitors = {name: visit(site) for name, site in sites._asdict().items()}
    urls = {name: upload(visitor, name).json()["url"] for name, visitor in visitors.items()}
    for name, visitor in visitors.items():
        for other, url in urls.items():
            path = url.removeprefix("/below")
            assert path.startswith(f"/media/sites/{getattr(sites, other).pk}/")
            answer = visitor.get(path)
            assert answer.status == (200 if name == other else 404), (name, url)
            assert (answer.text == other) == (name == other)
            assert visitor.get("/invoice/invoice.txt").text == name
    alias = visit(sites.one)
    add_alias(sites.one, "served.example", redirect=False)
    alias.host = "served.example"
    assert alias.get(urls["one"]).text == "one"
    assert alias.get(urls["two"]).status == 404


def test_row_18_no_path_leads_to_files_of_another_site(visit, sites, media, settings):
    for site in sites:
        upload(visit(site), f"of {site.pk}")
    (media / "secret.txt").write_text("secret")
    for sendfile in ("", "x-accel-redirect"):
        settings.SITEFLEET = {**settings.SITEFLEET, "SENDFILE": sendfile}
        for site, other in ((sites.one, sites.two), (sites.below, sites.one)):
            visitor, own = visit(site), f"sites/{site.pk}"
            good = visitor.get(f"/media/{own}/invoice.txt")
            target = f"/protected/{own}/invoice.txt" if sendfile else ""
            assert (good.status, good["x-accel-redirect"]) == (200, target)
            assert good.text == ("" if sendfile else f"of {site.pk}")
            for path in ways_out(media, own, f"sites/{other.pk}")[: 3 if sendfile else None]:
                answer = visitor.get(path)
                assert (answer.status, answer["x-accel-redirect"]) == (404, ""), path


def ways_out(media, own, foreign):
    return [
        f"/media/{foreign}/invoice.txt",
        f"/media/{own}/../../{foreign}/invoice.txt",
        f"/invoice/../../{foreign}/invoice.txt",
        f"/media/{own}/../../secret.txt",
        f"/media/{own}\\..\\..\\{foreign}\\invoice.txt",
        f"/media/{own}/%2e%2e/%2e%2e/{foreign}/invoice.txt",
        f"/media//{media}/{foreign}/invoice.txt",
        f"/media/{own}/invoice.txt\0",
        "/media/secret.txt",
        f"/invoice/{media}/{foreign}/invoice.txt",
    ]


def test_row_18_no_name_writes_into_the_folder_of_another_site(visit, sites, media):
    upload(visit(sites.two), "theirs")
    attacker = visit(sites.one)
    foreign = f"sites/{sites.two.pk}/invoice.txt"
    for name in (
        f"../{sites.two.pk}/invoice.txt",
        f"../../{foreign}",
        f"..\\{sites.two.pk}\\invoice.txt",
        str(media / foreign),
        f"/{foreign}",
        f"a/../../{sites.two.pk}/invoice.txt",
        foreign,
    ):
        for given in ({"as_name": name}, {"name": name}):
            assert upload(attacker, "forged", **given).status in (200, 400)
    found = files_in(media)
    assert found.pop(foreign) == "theirs"
    assert all(path.startswith(f"sites/{sites.one.pk}/") for path in found)


def test_row_18_a_link_names_the_host_that_serves_the_file(visit, sites, media):
    hosts = {"one": ONE, "two": TWO, "below": ONE}
    for name, site in sites._asdict().items():
        seen = visit(site).get("/links/").json()
        for other, host in hosts.items():
            pk = getattr(sites, other).pk
            path = f"{'/below' if other == 'below' else ''}/media/sites/{pk}/a.txt"
            assert seen[str(pk)] == (path if other == name else f"https://{host}{path}")


# --- row 33: fixtures -------------------------------------------------------------------------


def dump(*labels, **options):
    out = io.StringIO()
    call_command("dumpdata", *labels, stdout=out, **options)
    return json.loads(out.getvalue())


def rows_of(model):
    """Return all that a table has, but for a moment that fixtures have in milliseconds."""
    rows = model.objects.order_by("pk").values()
    return [{name: row[name] for name in row if name != "updated_at"} for row in rows]


@pytest.fixture
def load(tmp_path):
    def load(rows):
        path = tmp_path / "fixture.json"
        path.write_text(json.dumps(rows))
        call_command("loaddata", str(path), verbosity=0)

    return load


@pytest.mark.parametrize("environment", ["", "{slug}.localhost:8000"])
def test_row_33_a_dump_comes_back_to_the_sites_it_was_made_of(
    visit, sites, settings, load, environment
):
    settings.SITEFLEET = {**settings.SITEFLEET, "DOMAIN_FORMAT": environment}
    for name, site in sites._asdict().items():
        Article.objects.create(site=site, title=f"of {name}")
    models = (Site, SiteConfig, Article)
    before = [rows_of(model) for model in models]
    for entered, natural in product(sites, (False, True)):
        with override_site(entered):
            Site.objects.get_current()  # which shows its host in this environment
            rows = dump("sites", "sitefleet.siteconfig", "news", use_natural_foreign_keys=natural)
            assert "localhost" not in json.dumps(rows)
            Article.objects.all().delete()
            load(rows)
        assert [rows_of(model) for model in models] == before
    settings.SITEFLEET = {**settings.SITEFLEET, "DOMAIN_FORMAT": ""}
    for name, site in sites._asdict().items():
        assert visit(site).get("/articles/").json() == {"titles": [f"of {name}"]}


def test_row_33_a_fixture_that_moves_hosts_takes_nothing_along(visit, sites, anna, load):
    """What a fixture does to the table of sites is seen at once: the host is another site's."""
    visitor = visit(sites.one)
    visitor.log_in()
    link = visitor.get("/signed/").json()["link"]
    assert visitor.get("/page/").text.split()[0] == str(sites.one.pk)
    assert visitor.user == "anna"
    load(
        [
            {"model": "sites.site", "pk": site.pk, "fields": {"domain": domain, "name": site.name}}
            for site, domain in ((sites.one, "new.example.org"), (sites.two, ONE))
        ]
    )
    assert visitor.user == ""
    assert visitor.get("/page/").text.split()[0] == str(sites.two.pk)
    assert visitor.get(f"/opened/{link}/").json()["link"] is None
    assert told(visitor.get("/look/")) == expected(sites, "two")
    visitor.host = TWO
    assert visitor.get("/look/").status == 404
    visitor.host = "new.example.org"
    assert told(visitor.get("/look/")) == expected(sites, "one")
