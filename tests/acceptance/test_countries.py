"""The countries example passes the canary: nothing of one country shows on another."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples/countries"


@pytest.mark.acceptance
def test_the_countries_pass_the_canary():
    command = [sys.executable, "manage.py", "test", "pages"]
    environment = {**os.environ}
    environment.pop("DJANGO_SETTINGS_MODULE", None)  # it is that of these tests
    done = subprocess.run(
        command, cwd=EXAMPLE, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ran 2 tests" in done.stderr
