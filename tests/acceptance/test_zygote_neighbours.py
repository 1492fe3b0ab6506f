"""The driver `zygote`: what one site does, or has, does not reach its neighbours."""

import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from sitefleet.hosting.planning.options import Options
from sitefleet.hosting.zygote.nursery import AT_ONCE
from tests.acceptance.test_zygote import HOOKS
from tests.acceptance.zygotes import ids_in, make_project, running, wait_for

pytestmark = pytest.mark.acceptance

#: Seconds after which those that hang have ended, and let others have their turn by that.
LONGEST = Options().timeout / 2
SLUGS = ["a", "b", "c", "failing", *(f"s{number}" for number in range(100))]
VIEWS = r"""
import random

_random = random.Random()


def token(request):
    return JsonResponse({"token": _random.getrandbits(64)})


def ring(request):
    written = 0
    for number in range(3, 64):
        try:
            if os.readlink(f"/proc/self/fd/{number}").startswith("pipe:"):
                written += os.write(number, b"x\n r e1x\n") > 0
        except OSError:
            pass
    return JsonResponse({"written": written})


urlpatterns += [path("token/", token), path("ring/", ring)]
"""


@pytest.fixture(scope="module")
def zygote():
    with make_project(SLUGS) as project:
        for name, more in (("settings", HOOKS), ("urls", VIEWS)):
            file = project.folder / "project" / f"{name}.py"
            file.write_text(file.read_text() + more)
        (project.folder / f"fails-{ids_in(project)['failing']}").touch()
        with running(project) as zygote:
            zygote.apply(a={}, b={}, c={}, failing={})
            yield zygote


@pytest.fixture
def same_parent(zygote):
    """The parent is the same one after the test."""
    parent = zygote.parent
    yield
    assert zygote.get("a").status == 200
    assert zygote.parent == parent
    assert zygote.driver._parents[""]._process.restarts == 0


def sockets_of(pid):
    found = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(str(path.readlink()))
        except OSError:
            continue
    return {link for link in found if link.startswith("socket:")}


@pytest.mark.usefixtures("same_parent")
def test_clients_of_a_failing_site_are_not_those_of_another(zygote):
    zygote.apply(**{slug: {} for slug in (*SLUGS[:4], "s98")})
    assert zygote.get("failing").status == 503
    before = sockets_of(zygote.parent)
    path = str(zygote.context.run_dir.socket(zygote.key("failing")))
    clients = [socket.socket(socket.AF_UNIX) for _ in range(5)]
    for client in clients:
        client.connect(path)
    assert wait_for(lambda: len(sockets_of(zygote.parent) - before) == len(clients), 5)
    waiting = sockets_of(zygote.parent) - before
    assert not waiting & sockets_of(zygote.pid("s98"))  # forked while they wait
    for client in clients:
        client.close()


@pytest.mark.usefixtures("same_parent")
def test_what_a_site_writes_to_the_bell_harms_nobody(zygote):
    assert zygote.get("c", "/ring/").json["written"] >= 1
    time.sleep(0.2)


def test_generators_of_modules_give_each_process_other_numbers(zygote):
    assert len({zygote.get(slug, "/token/").json["token"] for slug in "abc"}) == 3


@pytest.mark.usefixtures("same_parent")
def test_sites_that_hang_at_their_start_hold_up_no_other(zygote):
    others, hanging = {slug: {} for slug in SLUGS[:4]}, SLUGS[5:-2][:AT_ONCE]
    zygote.apply(**others)
    zygote.apply(**others, **{slug: {} for slug in (*hanging, "s99")})
    for slug in hanging:
        (zygote.project.folder / f"hangs-{zygote.ids[slug]}").touch()
    try:
        with ExitStack() as clients:
            for slug in hanging:
                client = clients.enter_context(socket.socket(socket.AF_UNIX))
                client.connect(str(zygote.context.run_dir.socket(zygote.key(slug))))
            assert wait_for(lambda: {*map(tuple, map(zygote.state, hanging))} == {("starting",)}, 9)
            assert zygote.get("s99", timeout=LONGEST).status == 200
            assert {*map(tuple, map(zygote.state, hanging))} == {("starting",)}
    finally:
        for slug in hanging:
            (zygote.project.folder / f"hangs-{zygote.ids[slug]}").unlink()
        zygote.apply(**others)


@pytest.mark.usefixtures("same_parent")
def test_many_sites_with_long_options_are_told_to_the_parent(zygote):
    paths = ["/" + '"' * 400 + str(number) for number in range(50)]
    many = {slug: {"warm_up": paths} for slug in SLUGS[4:]}
    zygote.apply(**{slug: {} for slug in SLUGS[:4]} | many)
    assert zygote.get("s99").status == 200
    assert zygote.state("s0") == ["idle"]
