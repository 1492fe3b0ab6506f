"""What a plan needs that is not installed: told before anything starts, all of it at once."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sitefleet.exceptions import SiteError
from sitefleet.hosting.routers import find_router
from sitefleet.hosting.servers import granian
from sitefleet.hosting.servers.workers import check_version
from sitefleet.hosting.uwsgi.program import find_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sitefleet.hosting.planning.plan import Plan
    from sitefleet.hosting.processes.project import Project

INSTALL = 'pip install "django-sitefleet[serve]"'


def why_missing(plan: Plan, project: Project) -> str:
    """Return in one line what is not installed, and how to get it; empty when all is there."""
    packages = [name for name in _packages(plan) if find_spec(name) is None]
    verb = "are" if len(packages) > 1 else "is"
    said = [f"{' and '.join(packages)} {verb} not installed: {INSTALL}."] if packages else []
    for check in _checks(plan, project, set(packages)):
        try:
            check()
        except SiteError as error:
            said.append(" ".join(str(error).split()))
    return " ".join(dict.fromkeys(said))


def _packages(plan: Plan) -> Iterator[str]:
    """Yield the Python packages of the extra ``serve`` that a plan needs."""
    if _interfaces(plan):
        yield "gunicorn"
    if plan.fleet.serving.router == "asyncio":
        yield "httptools"


def _interfaces(plan: Plan) -> set[str]:
    """Return what gunicorn, or a worker class of it, is to speak."""
    serving = plan.fleet.serving
    on_gunicorn = [*plan.shared] if serving.server == "gunicorn" else []
    if serving.driver != "uwsgi":
        on_gunicorn += plan.dedicated
    return {instance.options.interface for instance in on_gunicorn}


def _checks(plan: Plan, project: Project, missing: set[str]) -> Iterator[Callable[[], object]]:
    serving = plan.fleet.serving
    if "gunicorn" not in missing:
        for interface in sorted(_interfaces(plan)):
            yield partial(check_version, interface)
    if serving.server == "granian":
        yield granian.check_version
    if serving.router != "asyncio":
        yield lambda: find_router(serving.router)
    if serving.driver == "uwsgi" and plan.dedicated:
        yield lambda: find_path(project.python)
