"""What the commands have in common: the project, its run directory, wishes for serving."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError
from sitefleet.hosting.fleet import MODE_VARIABLE
from sitefleet.hosting.project import Project, find_project
from sitefleet.hosting.reader import read_once
from sitefleet.hosting.run_dir import RunDir, run_dir_of
from sitefleet.hosting.running import Wishes

if TYPE_CHECKING:
    from argparse import Namespace

SERVING = ("bind", "driver", "router", "server", "mode")


def project_of(options: Namespace) -> Project:
    """Return the project, with the wishes that its processes are told by their environment."""
    if options.project is not None and not options.project.is_dir():
        raise SiteError(f"--project: there is no folder {options.project}.")
    project = find_project(options.project, options.settings)
    told = {
        "SITEFLEET_DOMAIN_FORMAT": getattr(options, "format", None),
        MODE_VARIABLE: getattr(options, "mode", None),
    }
    return replace(project, environment={key: value for key, value in told.items() if value})


def wishes_of(options: Namespace) -> Wishes:
    """Return what the command line says beside the settings."""
    serving = {name: getattr(options, name) for name in SERVING if getattr(options, name)}
    return Wishes(serving, options.run_dir, getattr(options, "reload", None))


def running_dir(options: Namespace) -> RunDir:
    """Return the run directory of the fleet that runs: the project is asked only if it must be."""
    project = project_of(options)
    found = run_dir_of(project.root, options.run_dir)
    if options.run_dir or found.is_taken:
        return found
    try:
        named = asyncio.run(read_once(project)).serving.run_dir
    except SiteError:  # its database may be away: nothing is known of another directory
        return found
    return run_dir_of(project.root, named)
