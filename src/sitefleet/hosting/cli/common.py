"""What the commands have in common: the project, its run directory, wishes for serving."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sitefleet.exceptions import SiteError
from sitefleet.hosting.planning.fleet import MODE_VARIABLE
from sitefleet.hosting.planning.plan import make_plan
from sitefleet.hosting.planning.settings import parse_bind
from sitefleet.hosting.processes.project import Project, find_project
from sitefleet.hosting.processes.run_dir import RunDir, run_dir_of
from sitefleet.hosting.supervising.reader import read_once
from sitefleet.hosting.supervising.running import Wishes

if TYPE_CHECKING:
    from argparse import Namespace

    from sitefleet.hosting.planning.plan import Plan

#: Sites of which the port is looked at.
LOOKED_AT = 20
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


def full_plan(options: Namespace) -> Plan:
    """Return the plan with plain shared sites, as the project has them now. Raises SiteError."""
    return make_plan(asyncio.run(read_once(project_of(options), everything=True)))


def port_hint(plan: Plan) -> str:
    """Return what to do where the hosts of this environment name another port; else nothing."""
    urls = [one.site.url for one in plan.decisions] + [url for _, url in plan.fleet.examples]
    ports = {_port(url) for url in urls[:LOOKED_AT] if url.startswith("http:")} - {0}
    _, port = parse_bind(plan.fleet.serving.bind) or ("", 0)
    if not ports or port in ports or not plan.fleet.format:
        return ""
    return (
        f"These sites name port {min(ports)}, and the router listens on {port}:"
        f" --format '{{slug}}.localhost:{port}'"
    )


def _port(url: str) -> int:
    """Return the port of a URL; 0 where it is none, as raw SQL may have put into the database."""
    try:
        return urlsplit(url).port or 80
    except ValueError:
        return 0


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
