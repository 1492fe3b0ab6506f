"""nginx as the router: a link per host leads to a socket, so that no change needs a reload.

``d/<host>`` in the run directory is a link to the directory of an instance, ``i/<key>``, in which
``s`` is a link to its socket. nginx runs *in* the run directory and finds it by the name of the
host alone; whatever has no link goes to the shared server. So do names that are too long for the
address of a socket (more than 103 bytes). A link to the socket itself would do for connecting, but
nginx can test for files and directories only, and not to test is a line in its log per request.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import signal
from typing import TYPE_CHECKING

from sitefleet.hosting.processes.run_dir import LONGEST_SOCKET, write_file
from sitefleet.hosting.routers.programs import (
    FORWARDED,
    GRACE,
    Program,
    most_files,
    most_of_a_host,
    template,
)

if TYPE_CHECKING:
    from pathlib import Path

    from sitefleet.hosting.planning.fleet import Serving
    from sitefleet.hosting.planning.plan import Plan
    from sitefleet.hosting.processes.process import Process

LINKS, UWSGI_LINKS, INSTANCES = "d", "u", "i"
FILE = "etc/nginx.conf"
#: For what it says before it has read its configuration: each time that it takes over a socket.
EARLY_LOG = "logs/nginx-start.log"
LONGEST_LINK = LONGEST_SOCKET - len(f"{LINKS}//s")
#: nginx takes memory for each connection that it may have, about 400 bytes.
MOST_CONNECTIONS = 16_384
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class NginxRouter(Program):
    """Runs nginx; routes are links in the run directory."""

    name = "nginx"
    package = "apt install nginx-light"

    async def prepare(self, plan: Plan) -> None:
        """Write configuration and links. Raises SiteError with what ``nginx -t`` says."""
        for folder in (LINKS, UWSGI_LINKS, INSTANCES, "tmp"):
            (self.root / folder).mkdir(exist_ok=True, mode=0o700)
        for name, text in self.render(plan).items():
            write_file(self.context.run_dir.files / name, text)
        await self.apply(plan)
        await self.check(*_arguments(self.root, "stderr"), "-t", "-q")

    def make_process(self, descriptor: int) -> Process:
        """Return nginx; it takes over the socket as it does when it replaces its own program."""
        return self.in_run_dir(
            (self.program, *_arguments(self.root, EARLY_LOG)),
            environment={"NGINX": f"{descriptor};"},
            descriptors=(descriptor,),
        )

    async def apply(self, plan: Plan) -> None:
        """Lead hosts as the plan has it: each link changes in one step."""
        by_fastrouter = plan.fleet.serving.driver == "uwsgi"
        dedicated = {instance.key for instance in plan.dedicated}
        links: dict[str, dict[str, str]] = {LINKS: {}, UWSGI_LINKS: {}}
        routes = self.routes(plan)
        for name, key in routes.items():
            if len(name) <= LONGEST_LINK:
                folder = UWSGI_LINKS if by_fastrouter and key in dedicated else LINKS
                links[folder][name] = f"../{INSTANCES}/{key}"
        keys = set(routes.values())
        for key in keys:
            (self.root / INSTANCES / key).mkdir(exist_ok=True, mode=0o700)
            set_links(self.root / INSTANCES / key, {"s": f"../../s/{key}.sock"})
        # Set before taken away: a host that changes folders is led somewhere at all times.
        for folder, wanted in links.items():
            set_links(self.root / folder, wanted)
        for folder, wanted in links.items():
            remove_links(self.root / folder, wanted)
        for left in (self.root / INSTANCES).iterdir():
            if left.name not in keys:
                shutil.rmtree(left)

    async def end(self, process: Process) -> None:
        """End it: SIGQUIT lets its workers answer what they have begun."""
        await process.stop(GRACE + 2, signal.SIGQUIT)

    def render(self, plan: Plan) -> dict[str, str]:
        """Return the configuration, by name of its file."""
        return {"nginx.conf": render_nginx(plan.fleet.serving, self.bind(plan))}


def _arguments(root: Path, early_log: str) -> tuple[str, ...]:
    return ("-p", f"{root}/", "-e", early_log, "-c", FILE)


def set_links(folder: Path, wanted: dict[str, str]) -> None:
    """Make and change links, each in one step."""
    present = _links(folder)
    new = folder / ".new"  # no host begins with a dot
    for name, target in wanted.items():
        if present.get(name) != target:
            new.unlink(missing_ok=True)
            new.symlink_to(target)
            new.replace(folder / name)


def remove_links(folder: Path, wanted: dict[str, str]) -> None:
    """Take away links of hosts that are not wanted any more."""
    for name in _links(folder).keys() - wanted.keys():
        (folder / name).unlink(missing_ok=True)


def _links(folder: Path) -> dict[str, str]:
    return {entry.name: str(entry.readlink()) for entry in folder.iterdir() if entry.is_symlink()}


def render_nginx(serving: Serving, bind: str) -> str:
    """Return the configuration of nginx; paths in it are relative to the run directory."""
    files = most_files()
    connections = min(files, MOST_CONNECTIONS)
    values = {
        "user": _user(),
        "bind": bind,
        "grace": GRACE,
        "files": files,
        "connections": connections,
        "temporary": "\n".join(f"    {name}_temp_path tmp/{name};" for name in _TEMPORARY),
        "trusted": "\n".join(f"        {network} 1;" for network in serving.trusted_proxies),
        "longest": LONGEST_LINK - 1,
        "most": most_of_a_host(connections),
        "kept": "\n".join(_kept(header) for header in _OTHERS),
        "headers": "\n".join(
            f'        proxy_set_header {header} "${_variable(header)}";' for header in _OTHERS
        ),
        "uwsgi_headers": "\n".join(
            f'            uwsgi_param {_in_wsgi(header)} "${value}" if_not_empty;'
            for header, value in _ALL_HEADERS.items()
        ),
        "raw": serving.raw.get("nginx", ""),
    }
    by_fastrouter = serving.driver == "uwsgi"
    values["leave"] = _LEAVE_UWSGI + _LEAVE if by_fastrouter else _LEAVE
    values["uwsgi"] = template("nginx-fastrouter.conf") % values if by_fastrouter else ""
    values["upstream"] = _FASTROUTER_TWICE if by_fastrouter else ""
    return template("nginx.conf") % values


def _variable(header: str) -> str:
    return "sitefleet_" + re.sub("^x_forwarded_", "", header.lower().replace("-", "_"))


_OTHERS = tuple(
    header
    for header in FORWARDED
    if header not in {"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"}
)
_ALL_HEADERS = {
    "X-Forwarded-For": "sitefleet_for",
    "X-Forwarded-Proto": "sitefleet_proto",
    "X-Forwarded-Host": "sitefleet_their_host",
    "X-Real-IP": "sitefleet_real_ip",
    **{header: _variable(header) for header in _OTHERS},
}


def _in_wsgi(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")


def _kept(header: str) -> str:
    """Return the map that keeps what a trusted proxy says in a header, and nothing else."""
    given = "http_" + header.lower().replace("-", "_")
    return f'    map $sitefleet_trusted ${_variable(header)} {{ default ""; 1 ${given}; }}'


def _user() -> str:
    """Workers that root starts would become another user, who may not reach the sockets."""
    if os.geteuid():
        return ""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(os.getegid()).gr_name};"


_LEAVE_UWSGI = """
            error_page 419 = @fastrouter;
            if (-d u/$sitefleet_name) { return 419; }"""
#: nginx asks a server again only where there is another one.
_FASTROUTER_TWICE = """
    upstream sitefleet_fastrouter {
        server unix:s/fastrouter.sock max_fails=0;
        server unix:s/fastrouter.sock max_fails=0;
    }
"""
_LEAVE = """
            error_page 418 = @shared;
            if (!-d d/$sitefleet_name) { return 418; }"""
