"""What `manage.py check` says of URLconfs."""

import pytest
from django.core import checks
from django.db import DatabaseError

from sitefleet import override_site
from sitefleet.models import SiteConfig
from sitefleet.persite import urls
from sitefleet.registry import configure_site

MODULES = "tests.persite.urlconfs"
SHOP, BLOG = f"{MODULES}.shop", f"{MODULES}.blog"


OURS = ("urls.", "sitefleet.E001", "sitefleet.E32", "sitefleet.W32")


def found(*databases):
    messages = checks.run_checks(databases=databases)
    return [message for message in messages if message.id.startswith(OURS)]


def test_good_urlconfs_have_no_messages(site, settings):
    settings.SITEFLEET = {"URLCONFS": [SHOP, BLOG]}
    configure_site(site, urlconf=SHOP)
    assert found("default") == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("missing", f"ModuleNotFoundError: No module named '{MODULES}.missing'"),
        ("empty", "ImproperlyConfigured: The included URLconf"),
    ],
)
def test_each_urlconf_is_imported(settings, name, reason):
    settings.SITEFLEET = {"URLCONFS": [SHOP, f"{MODULES}.{name}"]}
    (message,) = found()
    assert message.id == "sitefleet.E320"
    assert message.msg.startswith(f"The URLconf '{MODULES}.{name}' cannot be used: {reason}")
    assert "SITEFLEET['URLCONFS']" in message.hint


def test_django_looks_at_each_of_them(site, settings):
    settings.SITEFLEET = {"URLCONFS": [SHOP, f"{MODULES}.careless"]}
    configure_site(site, urlconf=SHOP)
    with override_site(site):  # as in `manage.py check --site=one`
        messages = found()
    seen = {message.id: message.obj for message in messages}
    assert seen.keys() == {"urls.W002", "urls.W005", "urls.E007"}
    assert set(seen.values()) == {f"{MODULES}.careless"}
    assert MODULES in str(messages[0])


def test_settings_that_cannot_be_used_are_told_once(site, settings):
    settings.SITEFLEET = {"URLCONFS": ["not a module"]}
    assert [message.id for message in found("default")] == ["sitefleet.E001"]


def test_a_site_with_a_urlconf_that_is_not_listed_is_reported(fleet, settings):
    settings.SITEFLEET = {"URLCONFS": [SHOP]}
    SiteConfig.objects.filter(site=fleet[0]).update(urlconf=SHOP)
    SiteConfig.objects.exclude(site=fleet[0]).update(urlconf="evil.module")
    (message,) = found("default")
    assert (message.id, message.level) == ("sitefleet.W321", checks.WARNING)
    assert message.msg.startswith("The URLconf 'evil.module' of 'de' and 1 more is not listed")
    assert "'evil.module'" in message.hint
    settings.SITEFLEET = {}
    assert [message.id for message in found("default")] == ["sitefleet.W321"] * 2
    assert found() == []


def test_before_the_first_migrate_there_is_nothing_to_look_at(monkeypatch, db):
    def fail(*_):
        raise DatabaseError

    monkeypatch.setattr(urls, "Min", fail)
    assert urls.check_sites(databases=["default"]) == []
