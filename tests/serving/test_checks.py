"""System checks of serving."""

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from sitefleet.models import SiteConfig
from sitefleet.registry import configure_site
from sitefleet.serving import checks, fleet


def found(**options):
    return {
        message.id: message.msg
        for message in run_checks(**options)
        if message.id.startswith("sitefleet.") and message.id[11] == "5"
    }


def serving(**values):
    return override_settings(SITEFLEET={"FRESHNESS": 0.0, "SERVING": values})


def in_database():
    return found(databases=["default"], include_deployment_checks=True)


def test_what_is_right_is_not_told(site):
    configure_site(site, mode="dedicated", serving={"workers": 5})
    with serving(mode="dedicated", environment=["FLAVOUR"]):
        assert in_database() == {}


def test_a_process_site_that_is_no_id_is_an_error(monkeypatch):
    monkeypatch.setenv("SITE_ID", "two")
    assert list(found()) == ["sitefleet.E501"]


def test_a_process_site_is_told_of_servers(site, monkeypatch):
    monkeypatch.setenv("SITE_ID", str(site.pk))
    assert found() == {}
    assert list(in_database()) == ["sitefleet.W502"]


def test_a_process_site_that_is_gone_is_told(site, monkeypatch):
    monkeypatch.setenv("SITE_ID", "99")
    assert "sitefleet.W503" in in_database()


@pytest.mark.parametrize(
    ("values", "package"),
    [({"driver": "zygote"}, "gunicorn"), ({"server": "granian", "driver": "uwsgi"}, "granian")],
)
def test_a_server_that_is_not_installed_is_told(monkeypatch, values, package):
    monkeypatch.setattr(checks, "find_spec", lambda _: None)
    with serving(**values):
        assert found()["sitefleet.W505"].startswith(package)


@pytest.mark.parametrize("key", ["options", "shared"])
def test_asgi_without_an_application_is_told(key):
    with serving(**{key: {"interface": "asgi"}}):
        assert key in found()["sitefleet.W506"]
        with override_settings(ASGI_APPLICATION="tests.asgi.application"):
            assert found() == {}


def test_a_site_that_asks_for_it_is_told_too(site):
    configure_site(site, serving={"interface": "asgi"})
    assert "'one'" in in_database()["sitefleet.W506"]


def test_modes_and_options_that_came_in_past_validation_are_told(site):
    SiteConfig.objects.update(mode="forked", serving={"workers": 0, "exec": "sh"})
    told = in_database()
    assert "'forked'" in told["sitefleet.W507"]
    assert "workers is a whole number" in told["sitefleet.W508"]
    assert "'exec'" in told["sitefleet.W508"]


def test_a_dedicated_site_that_shares_its_host_is_told(fleet):
    configure_site(fleet[2], mode="dedicated")
    assert "'de'" in in_database()["sitefleet.W509"]


def test_more_connections_than_the_database_lets_in_are_told(site, monkeypatch):
    def read(_):
        return {"vendor": "postgresql", "max_connections": 97, "used_connections": 3}

    monkeypatch.setattr(fleet, "read_capacity", read)
    configure_site(site, mode="dedicated", serving={"workers": 10, "threads": 2})
    assert in_database() == {}
    configure_site(site, serving={"threads": 20})
    assert "lets in 97" in in_database()["sitefleet.W510"]


def test_a_fleet_that_is_too_large_is_not_looked_at(site, monkeypatch):
    monkeypatch.setattr(checks, "LOOKED_AT", 0)
    monkeypatch.setattr(checks, "load_fleet", lambda: 1 / 0)
    configure_site(site, mode="dedicated")
    assert in_database() == {}
