"""Sessions of each engine."""

import pytest
from django.contrib.auth import (
    get_user_model,
)
from django.contrib.sessions.backends import file as django_file

from sitefleet.test import client_for
from tests.persite.sessions.work import ENGINES, PLACE, Urls


@pytest.fixture(params=ENGINES)
def engine(request, settings, tmp_path, monkeypatch):
    """Each engine of ours in turn, with the URLs above."""
    settings.ROOT_URLCONF = Urls
    settings.SESSION_ENGINE = f"{PLACE}.{request.param}"
    settings.SIGNING_BACKEND = "django.core.signing.TimestampSigner"
    location = str(tmp_path / "none")
    backend = "django.core.cache.backends.locmem.LocMemCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": location}}
    monkeypatch.setattr(django_file.SessionStore, "_storage_path", str(tmp_path), raising=False)
    return request.param


@pytest.fixture
def users(db):
    users = get_user_model().objects
    return [users.create_user(name, password="secret") for name in ("anna", "eve")]


@pytest.fixture
def key(engine, site, other_site, users):
    """The key of Anna's session on `site`."""
    client = client_for(site)
    client.force_login(users[0])
    session = client.session
    session["secret"] = "one"
    session.save()
    return session.session_key
