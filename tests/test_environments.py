import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from sitefleet import hosts
from sitefleet.environments import _environment, get_environment

SLUG = st.from_regex("[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
FORMAT = st.sampled_from(
    ["{slug}.localhost:8000", "{slug}.test.example.org", "t-{slug}.example.org", "a.{slug}.b:81"]
)


@given(SLUG, FORMAT)
def test_the_rule_leads_to_the_host_and_back(slug, domain_format):
    environment = _environment(domain_format, "http")
    host = environment.host_of(slug, "live.example.org")
    assert hosts.normalize(host) == host
    assert environment.slug_in(host) == slug
    assert environment.fits(host)
    assert environment.format == domain_format


@given(SLUG)
def test_live_has_no_rule(slug):
    live = _environment("", "https")
    assert live.is_live
    assert live.format == ""
    assert live.host_of(slug, "live.example.org") == "live.example.org"
    assert live.slug_in(f"{slug}.localhost") is None
    assert live.fits(f"{slug}.anything.example")


@pytest.mark.parametrize(
    ("host", "slug"),
    [
        ("de.localhost", "de"),
        ("de.localhost:9000", "de"),
        ("localhost", None),
        (".localhost", None),
        ("a.de.localhost", None),
        ("de.localhost.org", None),
        ("delocalhost", None),
    ],
)
def test_a_slug_is_all_that_stands_before_the_format(host, slug):
    assert _environment("{slug}.localhost:8000", "http").slug_in(host) == slug


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        ("localhost", True),
        ("a.b.localhost:81", True),
        ("example.org", False),
        ("xlocalhost", False),
        ("localhost.org", False),
        ("127.0.0.1", False),
    ],
)
def test_only_the_format_and_its_parent_fit(host, fits):
    assert _environment("{slug}.localhost:8000", "http").fits(host) is fits


def test_a_format_is_brought_into_normal_form():
    environment = _environment(" {slug}.MÜNCHEN.example.:80 ", "http")
    assert environment.host_of("de", "") == "de.xn--mnchen-3ya.example"


def test_the_scheme_is_http_in_debug_and_https_else():
    assert get_environment().scheme == "https"
    with override_settings(DEBUG=True):
        assert get_environment().scheme == "http"
        with override_settings(SITEFLEET={"SCHEME": "https"}):
            assert get_environment().scheme == "https"


def test_the_environment_variable_chooses_the_environment(monkeypatch):
    monkeypatch.setenv("SITEFLEET_DOMAIN_FORMAT", "{slug}.localhost:8000")
    monkeypatch.setenv("SITEFLEET_SCHEME", "http")
    environment = get_environment()
    assert (environment.scheme, environment.host_of("de", "x.org")) == ("http", "de.localhost:8000")
