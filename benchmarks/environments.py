"""Where the peers live: a virtual environment for each, made on first use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import django

HERE = Path(__file__).parent
ENVS = HERE / ".envs"
NEWER_PYTHONS = ("python3.13", "python3.12", "python3.14")


class Unavailable(Exception):
    """A peer, or a database, cannot be had on this machine; the results say so."""


@dataclass(frozen=True)
class Peer:
    """What one environment holds."""

    name: str
    packages: tuple[str, ...]
    python: tuple[int, int] = (3, 11)


PSYCOPG = "psycopg[binary]==3.3.9"
PEERS = {
    peer.name: peer
    for peer in (
        Peer("multisite", ("django-multisite==1.9.0", "six")),
        Peer("multisite2", ("django-multisite2==3.1.0",), python=(3, 12)),
        Peer("django-tenants", ("django-tenants==4.0.1", PSYCOPG)),
        Peer("django-pgschemas", ("django-pgschemas==1.1.1", PSYCOPG)),
    )
}
#: No peer, but where all that serves the heavy project is; uWSGI comes as a wheel.
HEAVY = Peer(
    "heavy",
    (
        "wagtail==8.0.1",
        "djangorestframework==3.18.3",
        "gunicorn==27.0.1",
        "httptools==0.9.0",
        "granian==2.8.7",
        "pyuwsgi==2.0.30.post1",
    ),
)
#: The same on a Python that shares more: see `sitefleet.hosting.zygote.immortal`.
NEWER = Peer("heavy-newer", HEAVY.packages[:4], python=(3, 12))


@cache
def interpreter(name: str) -> str:
    """Return the interpreter of an environment, ours if it is no peer's. Raises Unavailable."""
    peer = {**PEERS, HEAVY.name: HEAVY, NEWER.name: NEWER}.get(name)
    if peer is None:
        return sys.executable
    folder = ENVS / name
    python, stamp = folder / "bin/python", folder / ".ready"
    wanted = " ".join((f"Django=={django.__version__}", *peer.packages))
    if not (stamp.exists() and stamp.read_text() == wanted and _version(str(python))):
        print(f"Installing {wanted} ...", file=sys.stderr)
        _run(_find_python(peer), "-m", "venv", "--clear", str(folder))
        _run(str(python), "-m", "pip", "install", "--quiet", *wanted.split())
        stamp.write_text(wanted)
    return str(python)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
        message = f"{' '.join(command[1:4])} failed: {reason}"
        raise Unavailable(message)


def _find_python(peer: Peer) -> str:
    if sys.version_info >= peer.python:
        return sys.executable
    for python in (*NEWER_PYTHONS, *_pyenv_pythons()):
        path = shutil.which(python)
        if path and _version(path) >= peer.python:
            return path
    message = f"{peer.packages[0]} needs Python {'.'.join(map(str, peer.python))}, not found here"
    raise Unavailable(message)


def _pyenv_pythons() -> list[str]:
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        return []
    root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False).stdout
    return sorted(map(str, Path(root.strip()).glob("versions/3.*/bin/python")), reverse=True)


def version(python: str) -> str:
    """Return the version of an interpreter as people write it."""
    return ".".join(map(str, _version(python)))


def _version(python: str) -> tuple[int, ...]:
    """Return the version of an interpreter; empty for one that does not run (a pyenv shim)."""
    code = "import sys; print(*sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return ()
    return tuple(map(int, done.stdout.split()))


def clean_environ() -> dict[str, str]:
    """Return the environment of a worker: nothing of ours may change what it does."""
    ours = ("SITEFLEET_", "DJANGO_", "PYTHON")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}
