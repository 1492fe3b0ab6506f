"""Fixtures are nouns. What every test leaves behind, it must not: see `clean_process`."""

import os
from contextvars import copy_context

import django
import pytest
from django.contrib.sites.models import Site
from django.urls import get_script_prefix, set_script_prefix
from django.utils import translation

from sitefleet import lookup
from sitefleet.current import active_site_id, current_state
from sitefleet.registry import add_site
from sitefleet.resolver import resolver
from tests.databases import file_database, migrated_file  # noqa: F401 - fixtures


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Leave out what is about a later Django: the matrix runs it there. Mark what is slow."""
    for item in items:
        folder = item.path.parent.name
        if folder in SLOW or PROCESSES.get(folder) in item.fixturenames:
            item.add_marker("acceptance")
    marks = [(item, item.get_closest_marker("django")) for item in items]
    later = [item for item, mark in marks if mark is not None and mark.args > django.VERSION]
    if later:
        config.hook.pytest_deselected(items=later)
        items[:] = [item for item in items if item not in later]


#: Folders that the default run does not even import.
SLOW = ("acceptance", "attacks")
#: By the folder of a test: the fixture that starts processes of their own.
PROCESSES = {"commands": "project", "tests": "results"}


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run each test in a context of its own.

    Django keeps caches and storages in context variables, and takes new ones with each change of
    their settings. They add up, and each hop between threads looks at them all.
    """
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    def run():
        before = active_site_id(), get_script_prefix()  # what fixtures have entered
        pyfuncitem.obj(**arguments)
        check_nothing_left_over(*before, mounted="mounted_by_server" in names)

    copy_context().run(run)
    return True


def check_nothing_left_over(site=None, prefix="/", *, mounted=False):
    assert active_site_id() == site, "a site was left over"
    assert mounted or get_script_prefix() == prefix, "a script prefix was left over"


def pytest_ignore_collect(collection_path, config):
    """Leave out what the default run leaves out anyway: to import that alone takes seconds."""
    default = config.option.markexpr == "not acceptance"
    return True if default and collection_path.name in SLOW else None


@pytest.fixture(autouse=True)
def clean_process(monkeypatch):
    """Start from nothing remembered and no variables of ours; end with no site left over."""
    for name in [name for name in os.environ if name.startswith(("SITEFLEET_", "SITE_ID"))]:
        monkeypatch.delenv(name)
    forget()
    yield
    try:
        check_nothing_left_over()
    finally:
        current_state.set(None)
        forget()


def forget():
    resolver.reset()
    lookup.forget_pinned()
    Site.objects.clear_cache()
    translation.deactivate()  # LocaleMiddleware leaves the language of the last request


@pytest.fixture
def fleet(site, other_site):
    """Three sites, the third of them below a path prefix of the first."""
    return site, other_site, add_site("de", name="DE", domain="one.example.org", path_prefix="/de")


@pytest.fixture
def mounted_by_server(settings):
    """Undo what the handler of a server sets, and Django keeps, where it mounts the project."""
    settings.STATIC_URL, settings.MEDIA_URL = "static/", "media/"
    yield
    set_script_prefix("/")
