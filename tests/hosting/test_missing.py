"""What is not installed is told before anything starts, and by `sitefleet plan` too."""

import sys

import pytest

from sitefleet.hosting.planning.plan import make_plan
from sitefleet.hosting.processes.project import Project
from sitefleet.hosting.supervising import missing
from sitefleet.hosting.supervising.missing import why_missing
from tests.hosting.fleets import fleet, site


def why(*sites, **serving):
    return why_missing(make_plan(fleet(*sites, serving=serving)), Project(".", "x", sys.executable))


@pytest.fixture
def nothing(monkeypatch):
    """A machine with no server at all."""
    monkeypatch.setattr(missing, "find_spec", lambda _name: None)
    monkeypatch.setattr("shutil.which", lambda *_given, **_named: None)
    monkeypatch.delenv("SITEFLEET_UWSGI", raising=False)


def test_where_all_is_there_nothing_is_said():
    assert why(site(1)) == ""


@pytest.mark.usefixtures("nothing")
def test_all_that_is_missing_is_told_at_once_and_in_one_line():
    assert why() == (
        'gunicorn and httptools are not installed: pip install "django-sitefleet[serve]".'
    )
    told = why(site(1), router="nginx", driver="uwsgi")
    assert "\n" not in told
    assert told.startswith("gunicorn is not installed: ")
    assert "There is no program nginx: apt install nginx-light" in told
    assert "needs the program uwsgi" in told


@pytest.mark.usefixtures("nothing")
@pytest.mark.parametrize("router", ["nginx", "haproxy", "traefik"])
def test_a_router_that_is_no_program_here_is_told(router):
    assert f"There is no program {router}: " in why(router=router)


@pytest.mark.usefixtures("nothing")
def test_what_no_site_needs_may_be_missing():
    assert "uwsgi" not in why(driver="uwsgi")
    assert "gunicorn" not in why(server="granian", router="nginx")
