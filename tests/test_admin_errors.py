"""What is wrong with a site is told beside the field of the admin's form."""

import pytest
from django.contrib.auth.models import User
from django.contrib.sites.models import Site

from sitefleet.models import Alias, SiteConfig
from sitefleet.registry import add_alias, add_site
from sitefleet.test import client_for
from tests.admin_forms import LIST, change_url, form_of

pytestmark = pytest.mark.acceptance  # two seconds


@pytest.fixture
def browser(site):
    """The browser of the owner on the first site."""
    client = client_for(site)
    client.force_login(User.objects.create_superuser("owner"))
    return client


@pytest.fixture(params=["add", "change"])
def send(request, browser, fleet):
    """Sends the form of a site with changes, beside others that have the names."""
    add_alias(fleet[1], "old.example.org")
    target = add_site("target", domain="target.example.org")
    if request.param == "add":
        return lambda changes: browser.post(f"{LIST}add/", form_of(**changes))
    return lambda changes: browser.post(change_url(target), form_of(target, **changes))


def errors_of(response):
    assert response.status_code == 200, "the form is shown again"
    return response.context["adminform"].form.errors


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"domain": "two.example.org"}, "domain", "two.example.org is the domain of Two (two)."),
        ({"domain": "old.example.org"}, "domain", "is an alias of Two (two)."),
        ({"domain": "co.uk"}, "domain", "public suffix"),
        ({"domain": "https://x.example.org"}, "domain", "without the scheme"),
        ({"domain": "x.example.org/de"}, "domain", "without a path"),
        ({"domain": "a b"}, "domain", "no spaces"),
        ({"domain": "*.example.org"}, "domain", "only an alias can be a wildcard"),
        ({"domain": f"{'x' * 60}.{'y' * 60}"}, "domain", "100 characters"),
        ({"domain": "x" * 10_000}, "domain", "longer than"),
        ({"domain": "", "path_prefix": "/de"}, "domain", "needs a domain"),
        ({"domain": "one.example.org", "path_prefix": "/de"}, "domain", "domain of DE (de)"),
        ({"domain": "x.example.org", "path_prefix": "/a b"}, "path_prefix", "looks like /de"),
        ({"domain": "x.example.org", "path_prefix": "x" * 200}, "path_prefix", "at most 100"),
        ({"slug": "two"}, "slug", "The slug two is taken."),
        ({"slug": "TWO"}, "slug", "The slug two is taken."),
        ({"slug": "12"}, "slug", "A slug has small letters"),
        ({"slug": "a b"}, "slug", "A slug has small letters"),
        ({"slug": "x" * 64}, "slug", "at most 63"),
        ({"slug": ""}, "slug", "required"),
        ({"name": ""}, "name", "required"),
        ({"name": "x" * 51}, "name", "at most 50"),
        ({"state": "asleep"}, "state", "not one of the available choices"),
    ],
    ids=str,
)
def test_what_cannot_be_is_told_beside_its_field(send, changes, field, reason):
    before = list(SiteConfig.objects.values()), list(Site.objects.values())
    errors = errors_of(send(changes))
    assert list(errors) == [field]
    assert reason in errors[field][0]
    assert (list(SiteConfig.objects.values()), list(Site.objects.values())) == before


@pytest.mark.parametrize(
    ("changes", "aliases", "reason"),
    [
        ({}, ["two.example.org"], "two.example.org is the domain of Two (two)."),
        ({}, ["co.uk"], "public suffix"),
        ({}, ["https://x.example.org"], "without the scheme"),
        ({}, ["x.example.org", "X.example.org."], "x.example.org is given to this site twice."),
        ({"domain": "x.example.org"}, ["x.example.org"], "given to this site twice"),
    ],
    ids=str,
)
def test_what_is_wrong_with_an_alias_is_told_beside_it(browser, fleet, changes, aliases, reason):
    response = browser.post(change_url(fleet[0]), form_of(fleet[0], aliases, **changes))
    assert response.status_code == 200
    (formset,) = response.context["inline_admin_formsets"]
    assert [reason in str(errors.get("name")) for errors in formset.formset.errors][-1]
    assert not Alias.objects.exists()
