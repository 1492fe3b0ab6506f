"""Commands that are run to their end: see `sitefleet.hosting.processes.once`."""

import asyncio
import sys

import pytest

from sitefleet.exceptions import SiteError
from sitefleet.hosting.processes.once import last_line, run_once
from sitefleet.hosting.processes.project import Project
from sitefleet.hosting.supervising.trial import try_project

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


@pytest.mark.parametrize(
    ("call", "ended"),
    [("Popen", (0, "said\n")), ("run", None)],
    ids=["it ends", "it hangs"],
)
async def test_what_it_has_started_holds_nobody_up_and_ends_with_it(call, ended):
    code = f"import subprocess; print('said', flush=True); subprocess.{call}(['sleep', '60'])"
    started = asyncio.get_running_loop().time()
    done = None
    try:
        done = await run_once([sys.executable, "-c", code], patience=30 if ended else 2)
    except SiteError:
        assert ended is None
    assert done == ended
    assert asyncio.get_running_loop().time() - started < 30


async def test_what_is_no_program_cannot_be_started():
    with pytest.raises(FileNotFoundError):
        await run_once(["no-such-program"])


async def test_a_python_that_is_gone_is_a_mistake_and_ends_nobody(tmp_path):
    """It is looked for after each change of code: an environment may be made anew meanwhile."""
    found = await try_project(Project(tmp_path, "settings", "/no/python"))
    assert "No such file" in found.mistake
