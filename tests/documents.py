"""Runs the code blocks of a document in a project of its own, as a reader would.

``python`` blocks whose first line is a comment that names a file (``# news/models.py``) go there
(settings are appended);
those that start with ``# models`` or ``# settings.py of`` are to be read only; all others run in
a process with Django set up. In ``console`` blocks the lines behind ``$`` run, and what they print
is compared.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Run elsewhere: by the tests of the demo, by whoever reads this, and servers.
NOT_RUN = ("make ", "pip ", "SITEFLEET_SITE=gh python manage.py runserver")
#: Checks that tell what does not follow the site yet; most pages show one part only.
MISSING = [f"sitefleet.W{number}" for number in (301, 330, 350, 372)]
MANAGE = "django.core.management import execute_from_command_line"


@dataclass
class Project:
    """A fresh Django project in a folder."""

    folder: Path
    quiet: bool = True
    """Whether the page is about something else than what follows the site: see `MISSING`."""
    environment: dict[str, str] = field(default_factory=dict)
    run_dir: str = ""
    serving: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith("SITEFLEET_")
        }
        self.environment |= {"DJANGO_SETTINGS_MODULE": "project.settings", "COLUMNS": "100"}
        self.environment["PYTHONWARNINGS"] = "error"
        self.environment.pop("TEST_DATABASE_NAME", None)
        self._run([sys.executable, "-m", "django", "startproject", "project", "."], settings=False)
        if self.quiet:
            settings = self.folder / "project/settings.py"
            settings.write_text(f"{settings.read_text()}\nSILENCED_SYSTEM_CHECKS = {MISSING}\n")

    def play(self, text: str) -> list[str]:
        """Run the blocks of a document; return what did not come out as it says."""
        complaints = []
        for language, code in BLOCK.findall(text):
            if language == "python":
                complaints += self._python(code)
            elif language == "console":
                complaints += self._console(code)
        return complaints

    def _python(self, code: str) -> list[str]:
        first = code.splitlines()[0]
        settings = self.folder / "project/settings.py"
        if first.startswith(("# models", "# settings.py of")):
            return []
        if first.startswith("# settings.py"):
            settings.write_text(f"{settings.read_text()}\n{code}")
        elif first.startswith("# manage.py"):
            manage = self.folder / "manage.py"
            ours = MANAGE.replace("django.core", "sitefleet")
            manage.write_text(manage.read_text().replace(MANAGE, ours))
        elif urlconf := re.match(r"# (urls\w*\.py)", first):
            (self.folder / "project" / urlconf[1]).write_text(code)
        elif module := re.match(r"# (\w+/[\w/]+\.py)", first):
            path = self.folder / module[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / "__init__.py").touch()
            path.write_text(code)
        else:
            return self._script(code)
        return []

    def _script(self, code: str) -> list[str]:
        script = self.folder / "test_block.py"
        if "TestCase" in code:
            script.write_text(code)
            done = self._run([sys.executable, "manage.py", "test", "test_block"])
            ran = re.search(r"Ran [1-9]", done.stderr)
            return [] if done.returncode == 0 and ran else [done.stdout + done.stderr]
        script.write_text(f"import django\ndjango.setup()\n{code}")
        done = self._run([sys.executable, script.name])
        return [] if done.returncode == 0 else [f"{code}\n{done.stderr}"]

    def _console(self, code: str) -> list[str]:
        complaints = []
        for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            command = command.split("  #")[0].strip()
            if command.startswith(NOT_RUN):
                continue
            if command.startswith("export "):
                name, _, value = command.removeprefix("export ").partition("=")
                self.environment[name] = value
                continue
            if command.startswith("unset "):
                self.environment.pop(command.removeprefix("unset "), None)
                continue
            words = shlex.split(command)
            if words[0] == "sitefleet":
                printed = self._sitefleet_saying(_tidy(expected), *words[1:])
            else:
                done = self._run([sys.executable, *words[1:]])
                printed = _tidy(done.stdout + done.stderr)
            if printed != _tidy(expected):
                complaints.append(f"$ {command}\n{printed}\n--- but the document says\n{expected}")
        return complaints

    def _sitefleet_saying(self, expected: str, *words: str) -> str:
        """Run `sitefleet`, again where it says something else: a change takes a second or two."""
        for _ in range(8):
            printed = _tidy(self._sitefleet(*words))
            if printed == expected or words[0] == "up":
                break
            time.sleep(0.5)
        return printed

    def _sitefleet(self, command: str, *arguments: str) -> str:
        """Run `sitefleet`, as in a second terminal while `up` runs; return what it printed."""
        if not self.run_dir:  # sockets have 107 bytes
            self.run_dir = tempfile.mkdtemp(prefix="sf", dir="/tmp")
        words = [sys.executable, "-m", "sitefleet.hosting", command, "--run-dir", self.run_dir]
        environment = {**self.environment, "PYTHONWARNINGS": ""}
        if command != "up":
            done = subprocess.run(
                [*words, *arguments],
                cwd=self.folder,
                env=environment,
                text=True,
                capture_output=True,
                check=False,
            )
            return done.stdout + done.stderr
        port = _free_port()
        where = ["--bind", f"127.0.0.1:{port}", "--format", f"{{slug}}.localhost:{port}"]
        self.serving = subprocess.Popen(
            [*words, *where, *arguments],
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        printed = ""
        for line in self.serving.stdout or ():
            printed += line
            if line.startswith("ready"):
                break
        # Somebody has to read it, or the pipe fills up.
        threading.Thread(target=self.serving.communicate, daemon=True).start()
        return printed.replace(f":{port}", ":8000")

    def stop(self) -> None:
        """Stop what a page has left running."""
        if self.serving is not None:
            self.serving.terminate()
            self.serving.wait(30)
        if self.run_dir:
            shutil.rmtree(self.run_dir, ignore_errors=True)

    def _run(
        self, command: list[str], *, settings: bool = True
    ) -> subprocess.CompletedProcess[str]:
        environment = dict(self.environment)
        if not settings:
            environment.pop("DJANGO_SETTINGS_MODULE")
        return subprocess.run(
            command, cwd=self.folder, env=environment, text=True, capture_output=True, check=False
        )


def _free_port() -> int:
    """Return a port that is as long as 8000, so that tables look the same."""
    for port in range(8000 + os.getpid() % 1000, 10_000):
        with suppress(OSError), socket.socket() as server:
            server.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
