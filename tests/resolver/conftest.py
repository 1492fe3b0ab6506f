import pytest
from django.test import override_settings

from sitefleet.registry import add_site


class Clock:
    """The time as the resolver sees it: it stands still until it is moved."""

    now = 1000.0

    def __call__(self):
        return self.now

    def pass_(self, seconds):
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    with override_settings(SITEFLEET={"FRESHNESS": 1.0, "CACHE_SIZE": 50}):
        clock = Clock()
        monkeypatch.setattr("sitefleet.resolver.monotonic", clock)
        yield clock


@pytest.fixture
def file_site(file_database):
    """A site in a database with real transactions, which threads share."""
    return add_site("one", name="One", domain="one.example.org")
