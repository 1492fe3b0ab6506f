"""What sitefleet itself answers. Redirects, and hostile requests, are in attacks/; who sees a site
in maintenance is in test_preview."""

import re

import pytest
from django.contrib.sites.models import Site
from django.db import OperationalError, connections
from django.test import override_settings

from sitefleet import answers
from sitefleet.registry import add_alias, add_site, set_state
from sitefleet.resolver import resolver

ONE = "one.example.org"


def get(client, host=ONE, path="/site/", **headers):
    return client.get(path, headers={"host": host, **headers})


def text(response):
    return " ".join(re.sub("<[^>]*>", " ", response.content.decode()).split())


# --- hosts that lead nowhere ----------------------------------------------------


def test_an_unknown_host_is_told_what_was_asked_and_what_to_do(client, site):
    response = get(client, "unknown.example:81")
    assert response.status_code == 404
    assert "unknown.example:81" in text(response)
    assert "manage.py resolvehost unknown.example:81" in text(response)
    assert response["Cache-Control"].startswith("max-age=0, no-cache")


def test_what_is_answered_ahead_of_the_project_tells_its_length(client, site):
    add_alias(site, "old.example.org")
    set_state(add_site("shut", domain="shut.example.org"), "maintenance")
    for host in ("unknown.example", "old.example.org", "shut.example.org", "a_b"):
        response = get(client, host)
        assert response["Content-Length"] == str(len(response.content)), host


def test_the_world_is_not_told_which_sites_there_are(client, site, other_site):
    page = get(client, "unknown.example").content.decode()
    assert "example.org" not in page
    with override_settings(SITEFLEET={"DOMAIN_FORMAT": "{slug}.secret.example"}):
        assert "secret" not in get(client, "unknown.example").content.decode()


@override_settings(DEBUG=True, SITEFLEET={"DOMAIN_FORMAT": "{slug}.localhost:8000"})
def test_in_debug_it_is(client, fleet):
    page = get(client, "unknown.example").content.decode()
    assert 'href="http://one.localhost:8000/"' in page
    assert 'href="http://de.localhost:8000/"' in page
    assert "{slug}.localhost:8000" in page
    assert "not even looked up" in page


@override_settings(DEBUG=True, SITEFLEET={"DOMAIN_FORMAT": "{slug}.localhost:8000"})
@pytest.mark.parametrize(
    ("host", "said", "not_said"),
    [
        ("unknown.example", "not even looked up", "alias add"),
        ("localhost:8000", "no alias leads from it", "looked up."),
        ("three.localhost:8000", "No site has the slug three .", "This one does not"),
    ],
)
def test_in_debug_it_is_told_what_was_looked_for(client, site, host, said, not_said):
    page = text(get(client, host))
    assert said in page
    assert not_said not in page


@override_settings(DEBUG=True)
@pytest.mark.parametrize(
    ("host", "command"),
    [
        ("localhost:8000", "{slug}.localhost:8000 manage.py runserver See"),
        ("127.0.0.1:8001", "{slug}.localhost:8001 manage.py runserver 8001 See"),
        ("[::1]:8000", "{slug}.localhost:8000 manage.py runserver See"),
        ("gh.localhost", "{slug}.localhost manage.py runserver See"),
    ],
)
def test_on_your_own_machine_a_format_is_what_to_do_next(client, site, host, command):
    page = text(get(client, host))
    first = page.partition("What to do next Give each site a host on this machine")[2]
    assert f"develop: SITEFLEET_DOMAIN_FORMAT={command}" in first
    assert f"manage.py sites alias add SLUG {host} --serve" in page


@override_settings(DEBUG=True)
def test_elsewhere_it_is_not(client, site):
    page = text(get(client, "unknown.example"))
    assert "SITEFLEET_DOMAIN_FORMAT" not in page
    assert "manage.py sites alias add SLUG unknown.example On" not in page
    assert "--serve" not in page


@override_settings(DEBUG=True)
def test_in_debug_a_site_below_a_prefix_is_linked_there(client, fleet):
    assert 'href="http://one.example.org/de/"' in get(client, "unknown.example").content.decode()


def test_an_ignored_forwarded_header_is_named(client, site):
    response = get(client, "unknown.example", **{"x-forwarded-host": ONE})
    assert response.status_code == 404
    assert f"X-Forwarded-Host: {ONE}" in text(response)
    with override_settings(USE_X_FORWARDED_HOST=True):
        other = {"x-forwarded-host": "other.example"}
        assert "X-Forwarded-Host" not in text(get(client, ONE, **other))


@override_settings(DEBUG=True)
def test_the_first_site_page_knows_the_site_that_django_made(client, db):
    made_by_django = Site.objects.get()
    page = text(get(client, "localhost:8000"))
    assert "There is only example.com , which Django made" in page
    assert "manage.py sites add SLUG" in page
    assert "manage.py sites rename example-com DOMAIN --slug SLUG --name NAME" in page
    assert f"SITEFLEET_SITE={made_by_django.pk} manage.py runserver" in page
    made_by_django.delete()
    page = text(get(client, "localhost:8000"))
    assert "manage.py sites add SLUG" in page
    assert "Django made" not in page
    assert "sites rename" not in page


@pytest.mark.parametrize("debug", [True, False])
def test_without_any_site_there_is_a_page_for_the_first_one(client, db, debug):
    assert list(Site.objects.values_list("domain", flat=True)) == ["example.com"]
    with override_settings(DEBUG=debug):
        response = get(client, "localhost:8000")
        assert response.status_code == 404
        assert "There is no site yet" in text(response)
        assert "manage.py sites add" in text(response)
    Site.objects.all().delete()
    assert "There is no site yet" in text(get(client, "localhost:8000"))
    add_site("one", domain=ONE)
    assert "There is no site yet" not in text(get(client, "localhost:8000"))


def test_without_tables_the_command_is_told_in_debug_only(db, rf, monkeypatch):
    error = OperationalError("no such table: sitefleet_generation")
    request = rf.get("/", headers={"host": ONE})
    introspection = connections["default"].introspection
    with override_settings(DEBUG=True), pytest.raises(OperationalError):
        answers.unmigrated(request, error)
    monkeypatch.setattr(introspection, "table_names", lambda: ["django_site"])
    with override_settings(DEBUG=True):
        response = answers.unmigrated(request, error)
    assert response.status_code == 503
    assert "manage.py migrate" in text(response)
    with override_settings(DEBUG=False), pytest.raises(OperationalError):
        answers.unmigrated(request, error)


def test_a_malformed_host_is_told_why(client, site):
    response = get(client, "no_host.example")
    assert response.status_code == 400
    assert "no_host.example" in text(response)
    assert "letters, digits and inner hyphens" in text(response)


@override_settings(TEMPLATES=[])
@pytest.mark.parametrize(
    ("host", "status"), [("unknown.example", 404), ("no_host", 400), (ONE, 503)]
)
def test_a_project_without_templates_answers_too(client, site, host, status):
    set_state(site, "maintenance")
    response = get(client, host)
    assert (response.status_code, "<!doctype html>" in response.content.decode()) == (status, True)


def test_a_project_may_bring_its_own_page(client, site, tmp_path):
    (tmp_path / "sitefleet").mkdir()
    (tmp_path / "sitefleet/unknown_host.html").write_text("mine: {{ host }}")
    engine = {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [tmp_path]}
    with override_settings(TEMPLATES=[engine]):
        assert get(client, "unknown.example").content == b"mine: unknown.example"


# --- states --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "status", "words"),
    [
        ("maintenance", 503, "One will be back soon"),
        ("archived", 410, "One has closed"),
        ("suspended", 404, "There is no site here"),
    ],
)
def test_a_site_that_is_not_active_answers_so(client, site, state, status, words):
    assert get(client).status_code == 200
    set_state(site, state)
    response = get(client)
    assert (response.status_code, words in text(response)) == (status, True)
    assert not response.cookies
    assert "no-store" in response["Cache-Control"]
    set_state(site, "active")
    assert get(client).status_code == 200


def test_a_suspended_site_does_not_tell_its_name(client, site):
    set_state(site, "suspended")
    assert "One" not in text(get(client))


def test_maintenance_says_when_to_come_back(client, site):
    set_state(site, "maintenance")
    assert get(client)["Retry-After"] == "600"
    with override_settings(SITEFLEET={"RETRY_AFTER": 30}):
        assert get(client)["Retry-After"] == "30"


@pytest.mark.parametrize(
    ("method", "status"),
    [("get", 200), ("head", 200), ("post", 405), ("put", 405), ("delete", 405), ("options", 405)],
)
def test_archived_sites_can_be_served_read_only(client, site, method, status):
    set_state(site, "archived")
    with override_settings(SITEFLEET={"ARCHIVED_READ_ONLY": True}):
        response = getattr(client, method)("/site/", headers={"host": ONE})
    assert response.status_code == status
    if status == 405:
        assert response["Allow"] == "GET, HEAD"


def test_states_go_before_redirects(client, site):
    add_alias(site, "old.example")
    set_state(site, "maintenance")
    assert get(client, "old.example").status_code == 503


def test_one_site_in_maintenance_is_not_another(client, site, other_site):
    set_state(site, "maintenance")
    assert get(client, "two.example.org").status_code == 200


def test_no_view_runs_for_a_site_that_is_not_served(client, site, monkeypatch):
    set_state(site, "archived")
    monkeypatch.setattr("tests.views.report", lambda _: pytest.fail("the view ran"))
    get(client)
    get(client, "unknown.example")


def test_unknown_hosts_are_remembered_in_a_bounded_way(client, site):
    with override_settings(SITEFLEET={"CACHE_SIZE": 10, "FRESHNESS": 3600}):
        for number in range(50):
            resolver.find(f"h{number}.example")
        memory = resolver._memory_for(connections["default"])
        assert len(memory.derived) <= 10
        assert len(memory.exact) == 0


def test_head_of_an_unknown_host_has_no_body(client, site):
    response = client.head("/", headers={"host": "unknown.example"})
    assert (response.status_code, response.content) == (404, b"")
