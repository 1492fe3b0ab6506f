"""Commands that are run to their end: see `sitefleet.hosting.processes.once`."""

import sys

import pytest

from sitefleet.exceptions import SiteError
from sitefleet.hosting.processes.once import last_line, run_once

pytestmark = pytest.mark.acceptance


async def test_what_it_says_and_how_it_ends_is_told():
    code = "import sys; print('said'); sys.stderr.write('wrong'); sys.exit(3)"
    status, said = await run_once([sys.executable, "-u", "-c", code])
    assert (status, said) == (3, "said\nwrong")
    assert last_line(said) == "wrong"
    assert last_line("") == "It ended without a word."


async def test_who_takes_too_long_is_killed_and_told():
    code = "import time; time.sleep(60)"
    with pytest.raises(SiteError, match=r"^It has not loaded within 0 seconds\.$"):
        await run_once([sys.executable, "-c", code], patience=0.2, late="It has not loaded")


async def test_what_is_no_program_cannot_be_started():
    with pytest.raises(FileNotFoundError):
        await run_once(["no-such-program"])
