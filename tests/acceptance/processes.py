"""Other processes on the database of a test: what is run there, and with which environment."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

#: The tests of the data side: they pass on every database.
DATA_TESTS = (
    "tests/test_models.py",
    "tests/test_registry.py",
    "tests/test_site_rows.py",
    "tests/test_populate.py",
    "tests/test_sync.py",
    "tests/test_lookup.py",
    "tests/test_triggers.py",
    "tests/resolver",
    "tests/test_checks.py",
    "tests/test_wiring.py",
    "tests/serving/test_names.py",
    "tests/serving/test_fleet.py",
    "tests/serving/test_checks.py",
    "tests/third_parties/test_contrib.py",
    "tests/scoping/test_binding.py",
    "tests/scoping/test_constraints.py",
    "tests/scoping/test_fields.py",
    "tests/scoping/test_forms.py",
    "tests/scoping/test_guard.py",
    "tests/scoping/test_kept.py",
    "tests/scoping/test_methods.py",
    "tests/scoping/test_methods_of_rows.py",
    "tests/scoping/test_raw.py",
    "tests/scoping/test_reads.py",
    "tests/scoping/test_writes.py",
)


def environment_for(database):
    """Return the environment in which `tests.settings` use a database, given by its settings."""
    names = ("ENGINE", "NAME", "HOST", "USER")
    values = {f"TEST_DATABASE_{name}": str(database[name]) for name in names}
    return os.environ | values | {"DJANGO_SETTINGS_MODULE": "tests.settings"}


def run_data_tests(database, prelude="", but=()):
    """Run the tests of the data side, but for some; `prelude` is Python code that goes first."""
    chosen = [path for path in DATA_TESTS if path not in but]
    code = f"{prelude}\nimport pytest\nraise SystemExit(pytest.main(['-q', *{chosen!r}]))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment_for(database),
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def populate_in_processes(database, sites, count, prelude=""):
    """Populate in that many processes at once; return the slugs that they say they created."""
    code = f"""{prelude}
from tests import settings
settings.SITEFLEET = {{"SITES": {sites!r}}}
import django
django.setup()
from sitefleet.populate import populate
print(*populate().created)
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environment_for(database),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * count, outputs
    return " ".join(out for out, _ in outputs).split()
