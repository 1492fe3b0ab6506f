"""What is written for uWSGI: pure text."""

import asyncio
import re
import socket
import struct
import time
from dataclasses import replace
from importlib import import_module
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from sitefleet.exceptions import SiteError
from sitefleet.hosting.drivers import uwsgi
from sitefleet.hosting.planning.fleet import Serving, Site
from sitefleet.hosting.planning.options import Options
from sitefleet.hosting.planning.plan import SHARED_ASGI, Fleet, make_plan
from sitefleet.hosting.planning.settings import parse_bind
from sitefleet.hosting.processes.logs import Logs
from sitefleet.hosting.processes.run_dir import RunDir
from sitefleet.hosting.routers.programs import template
from sitefleet.hosting.uwsgi import files, ini, program, query, talk
from sitefleet.hosting.uwsgi.addresses import wait_in_line, wake
from sitefleet.hosting.uwsgi.fastrouter import Fastrouter
from sitefleet.hosting.uwsgi.program import Program, check_binary, read_plugins
from sitefleet.hosting.uwsgi.quiet import Quiet, is_banner
from sitefleet.hosting.uwsgi.texts import Texts

migration = import_module("sitefleet.migrations.0004_vassals")
PLACES = ini.Places("/run/etc/vassal.ini", "/run/s")
LISTED = """
open("/usr/lib/uwsgi/plugins/python312_plugin.so"): No such file [core/utils.c line 3731]
!!! UNABLE to load uWSGI plugin: /usr/lib/uwsgi/plugins/python312_plugin.so: cannot open !!!

*** uWSGI loaded generic plugins ***
emperor_pg
fastrouter

*** uWSGI loaded request plugins ***
0: python
111: cache
--- end of plugins list ---

*** Starting uWSGI 2.0.21-debian (64bit) on [Fri Nov 20 14:30:47 2026] ***
os
"""


def context(root="/run", *, tcp=False):
    run_dir = RunDir(root)
    sockets = SimpleNamespace(tcp=tcp)
    return SimpleNamespace(run_dir=run_dir, sockets=sockets, logs=Logs(run_dir))


def lines(text):
    return text.splitlines()


def test_what_uwsgi_says_of_its_plugins_is_read():
    version, names, missing = read_plugins(LISTED)
    assert version == "2.0.21-debian"
    assert names == {"emperor_pg", "fastrouter", "python", "cache"}
    assert missing == {"python312"}


def test_only_plugins_that_are_not_built_in_are_loaded():
    program = Program("uwsgi", "2", frozenset({"cache"}), frozenset({"python"}), "python311")
    assert program.plugins("python", "cache", "emperor_pg") == ["python311", "emperor_pg"]
    built = Program("uwsgi", "2", frozenset({"python"}), frozenset())
    assert built.plugins("python") == []
    assert not built.has("emperor_pg")


@pytest.mark.parametrize(
    "value", ["a%db", "$(HOME)", "@(/etc/passwd)", "a\nexec = x", " a", "\x1b"]
)
def test_a_value_that_means_something_else_to_uwsgi_is_refused(value):
    with pytest.raises(ini.Unusable):
        ini.ini([("chdir", value)])


@pytest.mark.parametrize("value", ["", " a", "a ", "a\nb", "50%", "$(A)", "a;b", "é", "a" * 1001])
def test_a_variable_with_other_than_plain_characters_is_left_out(value):
    assert not ini.is_safe(value)
    assert ini.variables({"FLAVOUR": value}, ["FLAVOUR"]) == [("unenv", "FLAVOUR")]


def test_a_variable_that_is_not_listed_is_left_out():
    given = {"FLAVOUR": "mild, 10:30", "LD_PRELOAD": "x"}
    assert ini.variables(given, ["FLAVOUR"]) == [("env", "FLAVOUR=mild, 10:30")]


def test_a_site_has_its_own_lines_after_the_common_ones():
    options = Options(workers=5, timeout=7, niceness=3)
    text = ini.vassal(2, PLACES, options, [("env", "FLAVOUR=mild")])
    assert lines(text)[1] == "include = /run/etc/vassal.ini"
    assert {"env = SITE_ID=2", "workers = 5", "harakiri = 7", "prio = 3"} <= set(lines(text))
    assert "worker-reload-mercy = 7" in lines(text)  # what ends has as long for its requests
    assert text.endswith("env = FLAVOUR=mild\n")


def test_the_common_part_speaks_what_the_router_speaks_and_has_raw_lines_last():
    runtime = ini.Runtime(["python3"], "/srv/project", paths=["/a", "/b"])
    text = ini.common(runtime, "uwsgi", Options(), "buffer-size = 65536\n")
    assert "\nsocket = fd://0\n" in text
    assert text.index("pythonpath = /b") < text.index("pythonpath = /a")
    assert text.endswith("\nbuffer-size = 65536\n")
    assert "\nhttp-socket = fd://0\n" in ini.common(runtime, "http", Options(), "")


def test_the_emperor_never_loses_patience_since_it_would_kill_all_processes():
    text = ini.emperor([], "dir:///run/etc/vassals", "/run/s/emperor.st", 100)
    assert f"reload-mercy = {ini.NEVER}" in lines(text)
    assert f"emperor-curse-tolerance = {ini.LONGEST_STOP}" in lines(text)  # else it may be for ever


def test_text_in_the_query_means_nothing_to_uwsgi():
    made = query.literal("a'b%d$(C)@(d)\\\n;")
    assert made.startswith("U&'")
    assert not set("%$@;\n") & set(made)
    assert made.count("'") == 2
    assert query.literal("/run/s/") == "'/run/s/'"


def test_the_query_takes_sites_that_do_not_say_where_dedicated_is_the_mode_of_the_project():
    asked = query.query("public.v", Fleet(1, (), 0, Serving()), {}, PLACES)
    assert "mode IN ('dedicated')" in asked
    asked = query.query("public.v", Fleet(1, (), 0, Serving(mode="dedicated")), {}, PLACES)
    assert "mode IN ('dedicated', '')" in asked
    assert "\n" not in asked


def test_the_password_is_never_among_the_words_of_a_connection():
    given = {"host": "/a b", "user": "o'x", "password": "secret", "cursor_factory": "x"}
    words = query.conninfo(given)
    assert "host='/a b' user='o\\'x'" in words
    assert "secret" not in words
    assert "cursor_factory" not in words
    with pytest.raises(ini.Unusable):
        query.conninfo({"host": "a;b"})
    assert query.password_file("a:b\\c") == "*:*:*:*:a\\:b\\\\c\n"


def test_a_request_to_the_cache_is_in_the_protocol_of_uwsgi():
    made = talk.cache_request("update", "a.example", b"/s")
    kind, size, command = struct.unpack("<BHB", made[:4])
    assert (kind, command) == (111, 17)
    assert made[4 + size :] == b"/s"
    assert b"\x03\x00cmd\x06\x00update\x03\x00key\x09\x00a.example" in made


def test_a_file_that_changes_twice_in_a_second_has_two_times(tmp_path):
    path = tmp_path / "a.ini"
    assert files.write(path, "1")
    first = path.stat().st_mtime
    assert not files.write(path, "1")
    assert files.write(path, "2")
    assert path.stat().st_mtime >= int(first) + 1
    assert path.stat().st_mode & 0o077 == 0
    assert time.time() + 5 > path.stat().st_mtime


def test_files_of_vassals_that_are_gone_go(tmp_path):
    folder = tmp_path / "vassals"
    files.write_vassals(folder, {"site-1": ("one", "/s/1"), "site-2": ("two", "/s/2")})
    assert files.vassals_in(folder) == {"site-1", "site-2"}
    files.remove_vassals(folder, {"site-1"})
    assert sorted(path.name for path in folder.iterdir()) == ["site-2.ini", "site-2.ini.socket"]


def test_a_site_that_wants_asgi_is_not_given_to_uwsgi():
    options = Options(interface="asgi")
    site = Site(2, "two", "Two", "active", "dedicated", "", ("two.example",), options=options)
    plan = make_plan(Fleet(1, (site,), 0, Serving(driver="uwsgi")))
    assert plan.dedicated == ()
    assert plan.routes() == {"two.example": SHARED_ASGI}


def test_a_uwsgi_that_is_a_module_of_python_is_refused():
    check_binary("uwsgi", f"{LISTED}detected binary path: /usr/bin/uwsgi-core\n")
    with pytest.raises(SiteError, match="pyuwsgi"):
        check_binary("uwsgi", f"{LISTED}detected binary path: /usr/bin/python3.11\n")


@pytest.mark.parametrize(
    ("line", "banner"),
    [
        ("os: Linux-6.1.0-44-amd64 #1 SMP", True),
        ("your memory page size is 4096 bytes", True),
        (" *** WARNING: you have enabled harakiri without post buffering. Slow", True),
        ("added /a b/site-packages/ to pythonpath.", True),
        ("*** Starting uWSGI 2.0.31 (64bit) on [Fri] ***", False),
        ("unable to load app 0 (mountpoint='') (callable not found or import error)", False),
        ("os: the operating system is gone", False),
        ("added 3 books to pythonpath.", False),
        ("", False),
    ],
)
def test_what_uwsgi_says_of_itself_is_known_from_what_sites_say(line, banner):
    assert is_banner(line) is banner


def test_a_line_waits_until_those_before_it_are_accepted():
    served = []

    async def serve(reader, writer):
        served.append(await reader.read())
        writer.close()

    async def wait():
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            held.listen()
            address = f"127.0.0.1:{held.getsockname()[1]}"
            waiting = asyncio.create_task(wait_in_line(address))
            await asyncio.sleep(0.02)
            assert not waiting.done()  # nobody accepts
            async with await asyncio.start_server(serve, sock=held.dup()):
                await waiting
        await wait_in_line(address)  # there is nobody any more

    asyncio.run(wait())
    assert served == [b""]


def texts(root="/run", variables=(), **program):
    folder = Path("/run")
    said = []
    context = SimpleNamespace(
        run_dir=SimpleNamespace(files=folder / "etc", sockets=folder / "s"),
        project=SimpleNamespace(root=Path(root), variables=lambda: dict(variables)),
        sockets=SimpleNamespace(tcp=False),
        say=said.append,
    )
    given = {"built_in": frozenset({"python", "emperor_pg"}), "loadable": frozenset(), **program}
    project = {"home": "", "paths": [], "version": "3.12.1", "password": "secret"}
    project |= {"view": "public.v", "parameters": {"dbname": "fleet"}, "role": "it's"}
    return Texts(context, Program("uwsgi", **given), project, "unix:/run/s/{}.sock".format), said


def fleet_with(**options):
    site = Site(2, "two", "Two", "active", "dedicated", "", ("two.example",), **options)
    return make_plan(Fleet(1, (site,), 0, Serving(driver="uwsgi")))


def test_configurations_can_be_shown_and_have_no_password():
    made, _ = texts(version="2.0.31")
    shown = made.render(fleet_with())
    assert set(shown) == {"uwsgi/vassal.ini", "uwsgi/emperor.ini"}
    assert "passfile='/run/etc/uwsgi/pgpass'" in shown["uwsgi/emperor.ini"]
    assert "secret" not in "".join(shown.values())
    assert "set_config('role', U&'it\\+000027s', true); " in shown["uwsgi/emperor.ini"]
    made, _ = texts(version="2.0.31", built_in=frozenset({"python"}))
    shown = made.render(fleet_with())
    assert "env = SITE_ID=2" in shown["uwsgi/vassals/site-2.ini"]
    assert shown["uwsgi/vassals/site-2.ini.socket"] == "/run/s/site-2.sock\n"


def test_a_folder_that_uwsgi_cannot_be_told_is_an_error_that_says_so():
    made, _ = texts(root="/srv/50%", version="2.0.31")
    with pytest.raises(SiteError, match="/srv/50%"):
        made.render(fleet_with())


@pytest.mark.parametrize(("value", "line"), [("hot", "FLAVOUR=hot"), ("50%", "FLAVOUR=mild")])
def test_a_value_that_cannot_be_written_counts_as_not_given(value, line):
    made, _ = texts(variables={"FLAVOUR": "mild"}, version="2.0.31", built_in=frozenset())
    plan = fleet_with(options=Options(environment={"FLAVOUR": value}))
    fleet = replace(plan.fleet, serving=replace(plan.fleet.serving, environment=("FLAVOUR",)))
    ((text, _),) = made.vassals(replace(plan, fleet=fleet)).values()
    assert f"env = {line}" in lines(text)


def test_a_vassal_has_one_thread_whatever_its_site_says():
    made, _ = texts(version="2.0.31", built_in=frozenset({"python"}))
    shown = made.render(fleet_with(options=Options(threads=4)))
    assert not [line for line in lines("".join(shown.values())) if line.startswith("threads")]


def test_threads_that_uwsgi_cannot_have_are_told_once():
    made, said = texts(version="2.0.31")
    made.say_threads(fleet_with(options=Options(threads=1)))
    assert said == []
    for _ in range(2):
        made.say_threads(fleet_with(options=Options(threads=4)))
    assert len(said) == 1


def test_a_vassal_that_ends_is_not_one_that_can_be_led_to(monkeypatch):
    """Its socket takes connections until it is gone, and then they are lost."""
    answers = [
        {"vassals": [{"id": "site-2.ini", "cursed": 17}]},
        {"vassals": []},
        {"vassals": [{"id": "site-2.ini", "cursed": 0}]},
    ]
    left = iter(answers)

    async def read_stats(_path):
        return next(left)

    monkeypatch.setattr(talk, "read_stats", read_stats)
    monkeypatch.setattr(uwsgi, "PAUSE", 0)
    found = asyncio.run(uwsgi.UwsgiDriver(context())._wait(fleet_with()))
    assert found["site-2"]["cursed"] == 0


def test_a_change_does_not_wait_for_a_site_that_is_about_to_leave(monkeypatch):
    """Its row is gone, so the Emperor will never have it again; others wait meanwhile."""
    looks = count(1)

    async def read_stats(_path):
        assert next(looks) == 1
        return {"vassals": [{"id": "site-3.ini", "cursed": 0}]}

    monkeypatch.setattr(talk, "read_stats", read_stats)
    driver = uwsgi.UwsgiDriver(context())
    driver._taken = {"site-2"}
    assert set(asyncio.run(driver._wait(fleet_with()))) == {"site-3"}


@pytest.mark.parametrize(
    ("line", "died"),
    [
        ("DAMN ! worker 1 (pid: 77) died, killed by signal 9 :( trying respawn ...", 1),
        ("DAMN ! worker 1 (pid: 77) died :( trying respawn ...", 1),
        ("Respawned uWSGI worker 1 (new pid: 78)", 0),  # after max_requests, too
        ("worker 1 killed successfully (pid: 77)", 0),
        ("a line with DAMN ! worker 1 (pid: 77) in it", 0),
    ],
)
def test_a_worker_that_dies_is_counted_and_one_that_was_told_to_end_is_not(line, died):
    logs = Quiet(context().logs)
    logs.write("site-2", line)
    assert logs.died["site-2"] == died


def test_nothing_that_a_limit_of_time_may_have_ended_is_asked_again_by_nginx():
    (seconds,) = re.findall(r"next_upstream_timeout (\d+)s", template("nginx-fastrouter.conf"))
    assert int(seconds) <= ini.SHORTEST == migration.SHORTEST
    assert ("harakiri", ini.SHORTEST) in ini.numbers(Options(timeout=1))
    assert ("harakiri", 7) in ini.numbers(Options(timeout=7))


def test_the_fastrouter_forgets_a_host_when_nginx_asks_for_it_no_more(tmp_path, monkeypatch):
    forgotten = []

    async def remember(*_):
        return True

    async def forget(_path, host):
        forgotten.append(host)

    monkeypatch.setattr(talk, "remember", remember)
    monkeypatch.setattr(talk, "forget", forget)
    router = Fastrouter(context(tmp_path), tmp_path)
    router.process = object()
    asyncio.run(router.lead({"old.example": "/s"}))
    asyncio.run(router.lead({"new.example": "/s"}))
    assert forgotten == []
    asyncio.run(router.lead({"new.example": "/s"}))
    assert forgotten == ["old.example"]


def test_files_of_sites_that_leave_go_when_they_have_taken_what_waits_and_nobody_waits(
    tmp_path, monkeypatch
):
    async def read_stats(_path):
        return {"vassals": [{"id": "site-1.ini", "pid": 7}]}

    async def dismiss():
        taken = asyncio.Event()
        monkeypatch.setattr(uwsgi, "wait_in_line", lambda _address: taken.wait())
        driver = uwsgi.UwsgiDriver(context(tmp_path))
        driver.texts, driver.emperor, driver.plan = SimpleNamespace(folder=folder), "", fleet_with()
        driver._dismiss({"site-1", "site-2"})  # the second is back by now
        (task,) = driver._dismissals
        await asyncio.wait([task], timeout=0.02)
        assert files.vassals_in(folder) == {"site-1", "site-2"}
        taken.set()
        await task
        assert files.vassals_in(folder) == {"site-2"}

    monkeypatch.setattr(talk, "read_stats", read_stats)
    monkeypatch.setattr(uwsgi, "ON_THE_WAY", 0)
    folder = tmp_path / "vassals"
    files.write_vassals(folder, {"site-1": ("one", "/s/1"), "site-2": ("two", "/s/2")})
    asyncio.run(dismiss())


def bind(address):
    with socket.socket() as made:
        made.bind(address)


def test_the_port_of_a_site_is_taken_by_the_emperor_alone(tmp_path):
    driver = uwsgi.UwsgiDriver(context(tmp_path, tcp=True))
    address = parse_bind(driver.address("site-2"))
    assert parse_bind(driver.address("site-2")) == address
    with pytest.raises(OSError, match="in use"):
        bind(address)
    with socket.socket() as emperor:
        emperor.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        emperor.bind(address)
        emperor.listen()
        asyncio.run(wake(f"{address[0]}:{address[1]}"))
        emperor.accept()[0].close()
    asyncio.run(driver.stop())
    asyncio.run(wake(f"{address[0]}:{address[1]}"))  # nobody listens
    assert driver._ports == {}


def test_a_fastrouter_that_does_not_answer_is_not_one_that_is_full(tmp_path):
    said = []
    run_dir = SimpleNamespace(socket=tmp_path.joinpath)
    router = Fastrouter(SimpleNamespace(run_dir=run_dir, say=said.append), tmp_path)
    router.process = object()
    with pytest.raises(FileNotFoundError):  # the supervisor tries again
        asyncio.run(router.lead({"two.example": "/s"}))
    router.led = {"two.example": "/s"}
    with pytest.raises(FileNotFoundError):
        asyncio.run(router.lead({}))
    assert (said, router.led) == ([], {"two.example": "/s"})


@pytest.mark.parametrize(
    ("status", "said", "told"),
    [(1, "a\nno such table", "no such table"), (0, "", "without a word")],
)
async def test_a_project_that_does_not_say_what_it_has_is_told(monkeypatch, status, said, told):
    async def once(*_, **__):
        return status, said

    monkeypatch.setattr(program, "run_once", once)
    project = SimpleNamespace(variables=dict, root=None)
    context = SimpleNamespace(python=lambda module: [module], project=project)
    with pytest.raises(SiteError, match=f"^The project cannot be read for uWSGI: .*{told}"):
        await program.describe_project(context)
