"""Two tenants of a platform."""

import pytest

from sitefleet.registry import add_site
from tests.persite.csrf.work import (
    ONE,
    OURS,
    TWO,
    Urls,
    with_middleware,
)


@pytest.fixture
def fleet(db, settings):
    """Two tenants of a platform, `ONE` and `TWO`, that have the middleware of ours."""
    settings.MIDDLEWARE = with_middleware(OURS)
    settings.ROOT_URLCONF = Urls
    return add_site("t1", domain=ONE), add_site("t2", domain=TWO)
