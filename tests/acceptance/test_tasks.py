"""Django's tasks with the database backend and its worker, as a process."""

import json
import subprocess
import sys

import pytest

from tests.acceptance.processes import ROOT, environment_for
from tests.databases import sqlite_file

pytestmark = pytest.mark.acceptance

MANAGE = "from sitefleet.management import execute_from_command_line as run; import sys; run()"


def test_the_worker_never_mixes_sites_up_and_refuses_instead_of_taking_the_default(tmp_path):
    database = {"HOST": "", "USER": "", **sqlite_file(tmp_path / "tasks.sqlite3")}
    environment = environment_for(database)
    environment["DJANGO_SETTINGS_MODULE"] = "tests.acceptance.tasks_settings"

    def run(*arguments, text=""):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done

    run("-c", MANAGE, "migrate", "--verbosity", "0", "--run-syncdb")
    asked = run("-m", "tests.acceptance.tasks_caller", "enqueue").stdout.splitlines()[-1]
    worker = run("-c", MANAGE, "db_worker", "--batch", "--no-startup-delay")
    assert "Acting on" not in worker.stderr
    found = run("-m", "tests.acceptance.tasks_caller", "collect", text=asked)
    assert json.loads(found.stdout.splitlines()[-1]) == []
    assert len(json.loads(asked)) == 42
