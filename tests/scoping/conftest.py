import pytest

from tests.rooms.furnished import furnish_both


@pytest.fixture
def world(db, settings):
    """Rows of all kinds on two sites, and no current site."""
    settings.SITE_ID = None
    return furnish_both()
