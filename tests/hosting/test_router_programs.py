"""What is written for nginx, HAProxy and Traefik; tests/acceptance/test_routers.py runs them."""

import asyncio
import socket
import tempfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitefleet.exceptions import SiteError
from sitefleet.hosting import cli
from sitefleet.hosting.context import Context
from sitefleet.hosting.planning.plan import make_plan
from sitefleet.hosting.processes.logs import Logs
from sitefleet.hosting.processes.project import Project
from sitefleet.hosting.processes.run_dir import RunDir
from sitefleet.hosting.processes.sockets import Sockets, listen
from sitefleet.hosting.routers import ROUTERS, haproxy, make_router
from sitefleet.hosting.routers.haproxy import CHUNK, _chunks, render_haproxy
from sitefleet.hosting.routers.nginx import LONGEST_LINK, remove_links, render_nginx, set_links
from sitefleet.hosting.routers.programs import find_program, safe_routes
from sitefleet.hosting.routers.traefik import TraefikRouter, dynamic, static
from tests.hosting.fleets import fleet, site

SITES = (
    site(1, names=("one.test", "alias.test")),
    site(2, names=("two.test",)),
    site(3, mode="shared", names=("three.test",)),
    site(4, mode="shared", names=("four.test",), options={"interface": "asgi"}),
)


def plan(*sites, **serving):
    return make_plan(fleet(*(sites or SITES), serving=serving))


@given(st.text(max_size=20) | st.from_regex(r"[a-z0-9.;\n$`{}/-]{0,20}", fullmatch=True))
def test_only_names_of_hosts_are_ever_written(name):
    for safe in safe_routes({name: "site-1"}):
        assert set(safe) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
        assert not safe.startswith((".", "-"))
        assert ".." not in safe


def test_routes_with_other_keys_or_longer_names_are_left_out():
    assert safe_routes({"a.test": "site-1", "b.test": "site-1; x", "c.test": "../x"}) == {
        "a.test": "site-1"
    }
    label = "x" * 63
    assert safe_routes({f"{label}.{label}.{label}.{label}": "site-1", "y" * 64: "site-1"}) == {}


def test_nginx_finds_sites_by_links_and_needs_no_word_of_them():
    text = render_nginx(plan().fleet.serving, "127.0.0.1:8000")
    assert "listen 127.0.0.1:8000 default_server;" in text
    assert "one.test" not in text
    assert f"{{0,{LONGEST_LINK - 1}}}" in text
    assert "%(" not in text
    assert "fastrouter" not in text


def test_nginx_leads_to_the_fastrouter_of_uwsgi():
    text = render_nginx(plan(driver="uwsgi").fleet.serving, "127.0.0.1:8000")
    assert "uwsgi_param UWSGI_FASTROUTER_KEY $host;" in text
    assert text.index("return 419") < text.index("return 418")
    # What may be repeated is asked once more: nginx does so where there is another server.
    assert text.count("server unix:s/fastrouter.sock") == 2
    assert "uwsgi_next_upstream error;" in text
    assert "%(" not in text


@pytest.mark.parametrize("render", [render_nginx, None], ids=["nginx", "haproxy"])
def test_networks_of_proxies_and_lines_of_the_settings_are_written(render):
    raw = {"nginx": "gzip on;", "haproxy": "gzip on;"}
    made = plan(trusted_proxies=("192.0.2.0/24", "2001:db8::/32"), raw=raw)
    text = render(made.fleet.serving, "x:1") if render else render_haproxy(made, "x:1")
    assert "192.0.2.0/24" in text
    assert "2001:db8::/32" in text
    assert "gzip on;" in text.partition('SERVING["raw"]')[2]


def test_haproxy_has_a_server_without_weight_for_each_instance():
    text = render_haproxy(plan(), "fd@7")
    assert "bind fd@7\n" in text
    assert "server shared unix@s/shared.sock weight 1" in text
    for key in ("site-1", "site-2", "shared-asgi"):
        assert f"server {key} unix@s/{key}.sock weight 0" in text
    assert "site-3" not in text
    assert "%(" not in text


@pytest.mark.parametrize("header", ["X-Forwarded-User", "X-Forwarded-Client-Cert", "Forwarded"])
def test_only_trusted_proxies_speak_of_clients(header):
    assert f"proxy_set_header {header} " in render_nginx(plan().fleet.serving, "x:1")
    assert f"HTTP_{header.upper().replace('-', '_')} " in render_nginx(
        plan(driver="uwsgi").fleet.serving, "x:1"
    )
    clean = dynamic(plan(), {})["http"]["middlewares"]["clean"]
    assert clean["headers"]["customRequestHeaders"][header] == ""
    assert "del-header x-forwarded- -m beg unless trusted" in render_haproxy(plan(), "x:1")


async def test_whoever_asks_for_routes_with_too_long_a_line_costs_no_traceback():
    raised = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: raised.append(told))
    router = TraefikRouter(Context(None, RunDir("r"), None, None))
    async with await asyncio.start_server(router._serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        for data in (b"a" * 200_000, b"", b"GET / HTTP/1.1\r\n"):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(data)
            writer.write_eof()
            with suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 2) == b""
            writer.close()
    await asyncio.sleep(0)
    assert raised == []


def test_the_map_of_haproxy_goes_in_pieces_that_its_buffer_takes():
    lines = [f"host{number}.test site-{number}\n" for number in range(2000)]
    chunks = list(_chunks(lines))
    assert "".join(chunks) == "".join(lines)
    assert len(chunks) > 1
    assert max(map(len, chunks)) <= CHUNK
    assert all(chunk.endswith("\n") for chunk in chunks)


def test_traefik_gets_a_router_per_instance_and_one_for_all_other_hosts():
    ports = {"shared": "127.0.0.1:1", "site-1": "127.0.0.1:2"}
    http = dynamic(plan(), ports, "token.invalid")["http"]
    assert http["routers"]["site-1"]["rule"] == "Host(`one.test`) || Host(`alias.test`)"
    assert http["routers"]["other-hosts"]["service"] == "shared"
    assert http["routers"]["other-hosts"]["priority"] == 1
    assert http["routers"]["ready"]["rule"] == "Host(`token.invalid`)"
    servers = http["services"]["site-1"]["loadBalancer"]["servers"]
    assert servers == [{"url": "http://127.0.0.1:2"}]
    assert "ready" not in dynamic(plan(), ports)["http"]["routers"]


def test_traefik_calls_nobody_at_home(tmp_path):
    text = static(plan(), "127.0.0.1:8000", "http://127.0.0.1:1/", tmp_path)
    assert text["global"] == {"checkNewVersion": False, "sendAnonymousUsage": False}
    assert text["providers"]["http"]["endpoint"] == "http://127.0.0.1:1/"
    assert "file" in static(plan(), "127.0.0.1:8000", "", tmp_path)["providers"]


def test_links_are_set_changed_and_taken_away(tmp_path):
    set_links(tmp_path, {"a.test": "1", "b.test": "1"})
    set_links(tmp_path, {"a.test": "2", "c.test": "3"})
    remove_links(tmp_path, {"a.test": "2", "c.test": "3"})
    found = {path.name: str(path.readlink()) for path in tmp_path.iterdir()}
    assert found == {"a.test": "2", "c.test": "3"}


@pytest.mark.parametrize("name", [name for name in ROUTERS if name != "asyncio"])
def test_a_fleet_that_does_not_run_can_be_written_down(name, tmp_path):
    run_dir = RunDir(tmp_path)
    context = Context(
        Project(tmp_path, "settings"), run_dir, Sockets(run_dir, tcp=True), Logs(run_dir)
    )
    written = make_router(name, context).render(plan(bind="[::1]:8080"))
    assert f"{name}." in "".join(written)
    assert "[::1]:8080" in "".join(written.values())


def test_a_missing_program_and_a_port_in_use_are_told(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SiteError, match="There is no program nosuch: apt install nosuch, or"):
        find_program("nosuch", "apt install nosuch")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SiteError, match=f"listens on 127.0.0.1:{port} already.*--bind"):
            listen(f"127.0.0.1:{port}")
    with pytest.raises(SiteError, match=r"Cannot listen on 192.0.2.1:80: Cannot assign"):
        listen("192.0.2.1:80")


def test_what_a_program_says_is_told_in_its_own_lines(capsys):
    cli._complain(SiteError("nginx refuses its configuration:\n[emerg] one\x1b[0m\nsitefleet: two"))
    assert capsys.readouterr().err.splitlines() == [
        "sitefleet: nginx refuses its configuration:",
        "  [emerg] one\\x1b[0m",
        "  sitefleet: two",
    ]


async def test_a_haproxy_that_hangs_holds_up_nobody(monkeypatch):
    monkeypatch.setattr(haproxy, "ANSWERS_IN", 0.01)
    with tempfile.TemporaryDirectory(prefix="sf", dir="/tmp") as folder:
        run_dir = RunDir(folder)
        context = Context(Project(run_dir.root, "settings"), run_dir, Sockets(run_dir), None)
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.bind(str(run_dir.root / haproxy.API))
            deaf.listen()
            with pytest.raises(TimeoutError):
                await haproxy.HaproxyRouter(context)._ask("show info")
