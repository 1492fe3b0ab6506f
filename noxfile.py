"""The default tests on every supported pair of Python and Django (`make matrix`)."""

import os
import shutil
import subprocess
from pathlib import Path

import nox

PAIRS = [
    ("3.11", "5.2"),
    ("3.12", "5.2"),
    ("3.12", "6.0"),
    ("3.12", "6.1"),
    ("3.13", "5.2"),
    ("3.13", "6.0"),
    ("3.13", "6.1"),
]
#: Each Python and each Django once, with the first pair, which `make test` is: `.ci/run` has 30
#: minutes. The others are run before a release.
CORNERS = [("3.12", "6.0"), ("3.13", "5.2"), ("3.13", "6.1")]

#: Tests that take seconds and yet depend on the insides of CPython, or of Django.
MORE = (
    "tests/acceptance/test_immortal.py",
    "tests/attacks",
    "tests/commands",
    "tests/persite/sessions/test_replay.py",
    "tests/scoping/test_admin.py",
    "tests/scoping/test_concurrency.py",
    "tests/test_admin_options.py",
)

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = True


def prefer_pyenv_interpreters() -> None:
    """Put pyenv's real interpreters ahead of its shims, which only know the selected version."""
    roots = [os.environ.get("PYENV_ROOT", ""), str(Path.home() / ".pyenv")]
    if pyenv := shutil.which("pyenv"):
        done = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False)  # noqa: S603 - fixed arguments
        roots.insert(0, done.stdout.strip())
    root = next((root for root in roots if root and Path(root, "versions").is_dir()), None)
    if root is None:
        return
    wanted = {python for python, _ in PAIRS}
    for folder in sorted(Path(root, "versions").glob("*/bin")):
        if any((folder / f"python{python}").exists() for python in wanted):
            os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


prefer_pyenv_interpreters()


@nox.session
@nox.parametrize(
    ("python", "django"),
    [nox.param(*pair, tags=["corners"] if pair in CORNERS else ["others"]) for pair in PAIRS],
)
def tests(session: nox.Session, django: str) -> None:
    """Run the default tests with one Django; arguments after `--` go to pytest."""
    session.install("--quiet", "--require-hashes", "-r", "requirements/dev.txt")
    # The lock holds one Django for each Python; the matrix wants them all.
    session.install("--quiet", f"Django~={django}.0")
    session.install("--quiet", "--no-deps", "--no-build-isolation", "--editable", ".")
    session.run("python", "-m", "pytest", "-q", "-n", "auto", *session.posargs)
    session.run("python", "-m", "pytest", "-q", "-n", "auto", "-m", "acceptance", *MORE)
