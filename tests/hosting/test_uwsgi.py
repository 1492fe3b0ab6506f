"""What is written for uWSGI: pure text."""

import struct
import time

import pytest

from sitefleet.hosting.fleet import Serving, Site
from sitefleet.hosting.options import Options
from sitefleet.hosting.plan import SHARED_ASGI, Fleet, make_plan
from sitefleet.hosting.uwsgi import files, ini, query, talk
from sitefleet.hosting.uwsgi.program import Program, read_plugins

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
    assert text.endswith("env = FLAVOUR=mild\n")


def test_threads_are_overruled_where_uwsgi_cannot_end_them():
    assert ini.overriding("2.0.21-debian") == [("threads", 1)]
    assert ini.overriding("2.0.28-debian") == ini.overriding("2.0.31") == []


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
    files.write_vassals(folder, {"site-2": ("two", "/s/2")})
    assert sorted(path.name for path in folder.iterdir()) == ["site-2.ini", "site-2.ini.socket"]


def test_a_site_that_wants_asgi_is_not_given_to_uwsgi():
    options = Options(interface="asgi")
    site = Site(2, "two", "Two", "active", "dedicated", "", ("two.example",), options=options)
    plan = make_plan(Fleet(1, (site,), 0, Serving(driver="uwsgi")))
    assert plan.dedicated == ()
    assert plan.routes() == {"two.example": SHARED_ASGI}
