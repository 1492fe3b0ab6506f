"""Cached pages, fragments and sessions in the database and in files."""

import pytest

from tests.persite.test_cache import cache_of
from tests.persite.test_cache_pages import *  # noqa: F403 - the tests, with the fixture below

pytestmark = pytest.mark.acceptance


@pytest.fixture(params=["DatabaseCache", "FileBasedCache"])
def one_cache(request, tmp_path):
    """The settings of a cache."""
    return cache_of(request.param, tmp_path)
