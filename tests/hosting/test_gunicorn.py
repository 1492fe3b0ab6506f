"""The configuration files for gunicorn, as text."""

import os
import sys
from pathlib import Path

import pytest

from sitefleet.exceptions import SiteError
from sitefleet.hosting.context import Context
from sitefleet.hosting.drivers import masters
from sitefleet.hosting.drivers.gunicorn import GunicornDriver, groups
from sitefleet.hosting.drivers.shared import SharedDriver
from sitefleet.hosting.planning.fleet import Fleet, Serving, Site
from sitefleet.hosting.planning.options import Options
from sitefleet.hosting.planning.plan import Instance, make_plan
from sitefleet.hosting.processes.project import Project
from sitefleet.hosting.processes.run_dir import RunDir
from sitefleet.hosting.servers import granian, workers
from sitefleet.hosting.servers.gunicorn_files import shared_file, sites_file
from sitefleet.hosting.servers.variables import FORKS
from tests.hosting.fleets import fleet, site


def instance(site=None, **options):
    key = "shared" if site is None else f"site-{site}"
    return Instance(key, site, f"s{site}", (), Options(**options))


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Configurations set variables."""
    monkeypatch.setattr(os, "environ", os.environ.copy())


def read(text):
    """Run a configuration as gunicorn does; return what it says."""
    names = {}
    exec(compile(text, "gunicorn.conf.py", "exec"), names)  # noqa: S102 - it is our own
    return names


def test_the_shared_server_listens_on_the_socket_that_it_is_handed():
    said = read(shared_file(instance(threads=4, workers=3, timeout=90), "fd://17"))
    assert said["bind"] == ["fd://17"]
    assert (said["worker_class"], said["threads"], said["workers"]) == ("gthread", 4, 3)
    assert said["timeout"] == said["graceful_timeout"] == 90
    assert said["control_socket_disable"] is True
    assert said["preload_app"] is True


def test_event_loops_are_not_made_ahead_of_a_fork():
    said = read(shared_file(instance(interface="asgi"), "fd://17"))
    assert said["worker_class"] == "asgi"
    assert said["preload_app"] is False
    assert "when_ready" not in said


def test_one_thread_is_served_by_the_worker_that_has_none():
    assert read(shared_file(instance(threads=1), "fd://17"))["worker_class"] == "sync"
    assert read(shared_file(instance(threads=4, interface="asgi"), "fd://17"))["threads"] == 1


def test_headers_of_a_client_are_believed_of_the_router_alone():
    said = read(shared_file(instance(), "fd://17"))
    assert said["forwarded_allow_ips"] == "127.0.0.1,::1"
    assert said["secure_scheme_headers"] == {"X-FORWARDED-PROTO": "https"}
    assert said["forwarder_headers"] == ""


def test_the_file_is_stock_gunicorn_and_needs_nothing_of_hosting():
    for text in (
        shared_file(instance(), "fd://17"),
        sites_file("gunicorn-1", [instance(2), instance(3)], ["fd://4", "fd://5"]),
    ):
        assert "sitefleet.hosting" not in text


def test_lines_of_the_settings_come_last_and_so_before_ours():
    said = read(shared_file(instance(), "fd://17", "backlog = 9\nthreads = 8"))
    assert (said["backlog"], said["threads"]) == (9, 8)


def test_what_is_loaded_is_warm_and_before_a_fork_without_an_event_loop():
    for interface in ("wsgi", "asgi"):
        said = read(shared_file(instance(interface=interface), "fd://17"))
        assert said["wsgi_app"] == f"sitefleet.serving.{interface}:application"
    said = read(sites_file("gunicorn-1", [instance(2, interface="asgi")], ["fd://4"]))
    assert said["wsgi_app"] == "sitefleet.serving.asgi_to_fork:application"


def test_what_a_site_is_called_is_no_code():
    site = Instance("site-2", 2, '"\n__import__("os")#', (), Options())
    assert read(sites_file("gunicorn-1", [site], ["fd://4"]))["sites"][0]["slug"] == site.slug


def test_workers_are_chosen_for_the_site_that_lacks_them():
    sites = [instance(2, workers=2), instance(3)]
    said = read(sites_file("gunicorn-1", sites, ["fd://4", "fd://5"]))
    assert said["workers"] == 3
    server = type("Server", (), {"WORKERS": {}})()
    chosen = []
    for pid in range(3):
        worker = type("Worker", (), {})()
        said["pre_fork"](server, worker)
        server.WORKERS[pid] = worker
        chosen.append(worker.site)
    assert chosen == [0, 0, 1]
    del server.WORKERS[1]
    worker = type("Worker", (), {})()
    said["pre_fork"](server, worker)
    assert worker.site == 0


def test_sites_share_a_server_when_their_options_do_but_for_the_number_of_workers():
    same = [instance(2), instance(3, workers=4, idle=5, warm_up=("/",))]
    others = [instance(4, timeout=5), instance(5, interface="asgi"), instance(6, niceness=3)]
    found = groups([*others, *same])
    assert sorted(len(members) for _, members in found) == [1, 1, 1, 2]
    assert tuple(same) in [members for _, members in found]
    assert [name for name, _ in found] == [name for name, _ in groups([*others, *reversed(same)])]


def test_render_shows_files_that_run_without_us():
    site = Site(2, "one", "One", "active", "dedicated", "", ("one.example.org",))
    plan = make_plan(Fleet(1, (site,), 0, Serving()))
    run_dir = RunDir("/run/fleet")
    context = Context(Project(Path("/srv"), "project.settings"), run_dir, None, None)
    ((name, text),) = GunicornDriver(context).render(plan).items()
    assert name.startswith("gunicorn-")
    assert read(text)["bind"] == ["unix:/run/fleet/s/site-2.sock"]
    assert read(text)["wsgi_app"] == "sitefleet.serving.wsgi:application"
    assert read(text)["chdir"] == "/srv"
    assert os.environ["DJANGO_SETTINGS_MODULE"] == "project.settings"
    assert os.environ[FORKS] == "2"
    ((name, text),) = SharedDriver(context).render(plan).items()
    assert name == "shared.gunicorn.py"
    assert read(text)["bind"] == ["unix:/run/fleet/s/shared.sock"]


def test_a_missing_server_is_told_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gunicorn", None)
    with pytest.raises(SiteError, match=r"gunicorn.* not installed: pip install .*\[serve\]"):
        workers.preload("wsgi")
    monkeypatch.setitem(sys.modules, "granian.server", None)
    with pytest.raises(SiteError, match=r"granian.* not installed: pip install .*\[granian\]"):
        granian.check_version()


@pytest.mark.parametrize(("version", "interface"), [(24, "wsgi"), (28, "wsgi"), (26, "asgi")])
def test_a_version_of_gunicorn_that_is_not_known_is_told(monkeypatch, version, interface):
    fake = type("gunicorn", (), {"version_info": (version, 0), "__version__": f"{version}.0"})
    monkeypatch.setitem(sys.modules, "gunicorn", fake)
    with pytest.raises(
        SiteError, match=rf"gunicorn {version}\.0 is installed; {interface.upper()}"
    ):
        workers.check_version(interface)


def test_granian_is_told_what_it_knows_of_our_options():
    given = granian.arguments(Options(threads=3, workers=2, memory_limit=300), 9)
    assert given[0] == "9"
    assert {"--blocking-threads=3", "--workers=2", "--workers-max-rss=300"} < set(given)
    asgi = granian.arguments(Options(interface="asgi"), 9)
    assert "--interface=asgi" in asgi
    assert not any(word.startswith("--blocking-threads") for word in asgi)


BAD_LINES = {
    "backlog = (": "'(' was never closed: backlog = (",
    "import no_such_module": "ModuleNotFoundError: No module named 'no_such_module'",
    "backlog = 'many'": "backlog = 'many': invalid literal",
    "bakclog = 5": "gunicorn has no option 'bakclog'",
    "raise SystemExit": "SystemExit",
}


@pytest.mark.parametrize("lines", list(BAD_LINES))
def test_lines_that_gunicorn_would_not_take_are_told(lines):
    assert workers.why_not_lines(shared_file(instance(), "fd://17"), lines).startswith(
        BAD_LINES[lines]
    )


def test_lines_may_have_names_of_their_own():
    lines = """
import os
from math import pi
_many = 3
MOST = 9
def on_exit(server): pass
class Kept: pass
backlog = _many * MOST
threads = threads + 1
"""
    text = sites_file("gunicorn-1", [instance(2)], ["fd://4"])
    assert workers.why_not_lines(text, lines) == ""


@pytest.mark.parametrize("name", ["post_fork", "post_worker_init", "tell"])
def test_hooks_that_the_configuration_needs_are_called_by_those_that_replace_them(name):
    # Without its own post_fork no process would be of one site, and all would take what comes.
    text = sites_file("gunicorn-1", [instance(2)], ["fd://4"])
    given = "worker" if name == "post_worker_init" else "server, worker"
    lines = f"def {name}({given}): pass"
    # Of these the shared server has no post_fork.
    alone = workers.why_not_lines(shared_file(instance(), "fd://7"), lines)
    assert (alone == "") == (name == "post_fork")
    assert workers.why_not_lines(text, lines) == (
        f"the {name} that is there is needed: keep it, _ours = {name}, and call it in yours"
    )
    lines = f"_ours = {name}\ndef {name}({given}): _ours({given})"
    assert workers.why_not_lines(text, lines) == ""


def test_lines_are_tried_as_they_are_written_into_the_file():
    lines = "\n    backlog = 64\n"
    text = shared_file(instance(), "fd://7", lines)
    compile(text, "gunicorn.conf.py", "exec")
    assert workers.why_not_lines(shared_file(instance(), "fd://7"), lines) == ""


def test_arguments_that_granian_would_not_take_are_told():
    pytest.importorskip("granian")
    good = granian.arguments(Options(), 9)
    assert granian.why_not_arguments([*good, "--runtime-threads", "2"]) == ""
    assert "--no-such" in granian.why_not_arguments([*good, "--no-such"])
    assert "'x'" in granian.why_not_arguments([*good, "--backlog", "x"])
    assert granian.why_not_arguments([*good, "--version"])
    assert granian.why_not_arguments([*good, "another:application"])


async def test_lines_of_the_settings_that_change_count_for_servers_that_run(monkeypatch, tmp_path):
    ran = []

    async def run(name):
        ran.append(name)

    async def accept(*_):
        pass

    monkeypatch.setattr(masters, "try_lines", accept)
    driver = GunicornDriver(Context(None, RunDir(tmp_path), None, None))
    monkeypatch.setattr(driver, "_run", run)
    for raw in ({}, {}, {"gunicorn": "backlog = 64"}):
        await driver.apply(make_plan(fleet(site(1), serving={"driver": "gunicorn", "raw": raw})))
    assert len(ran) == 2
