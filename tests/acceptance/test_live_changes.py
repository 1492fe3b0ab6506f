"""Changes of a fleet under load: ten of them, and no request fails, on each driver and router."""

import re
import subprocess
from contextlib import contextmanager

import pytest

from tests.acceptance.fleets import make_project, wait_for

pytestmark = pytest.mark.acceptance

#: Driver and router; each driver once, each router once.
PAIRS = [
    ("zygote", "asyncio"),
    ("zygote", "nginx"),
    ("zygote", "traefik"),
    ("gunicorn", "haproxy"),
    ("gunicorn", "asyncio"),
    ("uwsgi", "nginx"),
    ("uwsgi", "asyncio"),
]
PREPARE = """
from sitefleet.registry import add_site, configure_site
for slug in ("changed", "other", "third"):
    configure_site(add_site(slug, domain=f"{slug}.example"), mode="dedicated")
add_site("common", domain="common.example")
"""
#: One process makes them all, so that their pace is that of the pauses.
CHANGES = """
import time
from sitefleet.lookup import get_site
from sitefleet.registry import (
    add_alias, add_site, change_site, configure_site, find_alias, promote_alias, set_state,
)
site = get_site("changed")
third = get_site("third")
added = []
changes = [
    lambda: added.append(add_site("new", domain="new.example")),
    lambda: configure_site(added[0], mode="dedicated"),
    lambda: add_alias(site, "further.example", redirect=False),
    lambda: configure_site(site, serving={"workers": 2, "timeout": 20}),
    lambda: promote_alias(find_alias("further.example")),
    lambda: set_state(third, "suspended"),
    lambda: configure_site(site, mode="shared"),
    lambda: set_state(third, "active"),
    lambda: configure_site(site, mode="dedicated"),
    lambda: change_site(third, slug="renamed", domain="renamed.example"),
]
for change in changes:
    change()
    time.sleep(1.2)
"""


@contextmanager
def load(fleet, host):
    """Ask a host by wrk while the block runs; gives a function that returns what wrk said."""
    script = fleet.project.folder / f"{host}.lua"
    script.write_text(f'wrk.headers["Host"] = "{host}"\n')
    command = ["wrk", "-t1", "-c2", "-d60s", "--timeout", "20s", "-s", str(script)]
    command.append(f"http://127.0.0.1:{fleet.port}/")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = []
    try:
        yield said
    finally:
        process.send_signal(2)  # wrk then tells what it has counted
        said.append(process.communicate(timeout=30)[0])


def failures(said):
    """Return what failed, of what wrk has said; and see that it asked at all."""
    (text,) = said
    assert int(re.search(r"(\d+) requests in", text)[1]) > 50, text
    found = re.findall(r"Socket errors:.*|Non-2xx or 3xx responses: \d+", text)
    # wrk counts what it had under way itself, when it was stopped, as a timeout at most.
    return [line for line in found if not line.endswith("connect 0, read 0, write 0, timeout 0")]


@pytest.fixture(scope="module", params=PAIRS, ids="-".join)
def fleet(request):
    driver, router = request.param
    with make_project(["spare"]) as project:
        project.manage("shell", "-v0", "-c", PREPARE)
        with project.up("--driver", driver, "--router", router, "--format", "") as running:
            yield running


def test_ten_changes_under_load_fail_no_request(fleet):
    for name in ("changed.example", "other.example", "common.example"):
        assert fleet.get(name).status == 200
    with (
        load(fleet, "changed.example") as changed,
        load(fleet, "other.example") as other,
        load(fleet, "common.example") as common,
    ):
        fleet.project.manage("shell", "-v0", "-c", CHANGES)
    told = {"changed": failures(changed), "other": failures(other), "common": failures(common)}
    assert not any(told.values()), (told, fleet.output)
    # And all of it has come true.
    new = fleet.project.id_of("new")
    changed = fleet.project.id_of("changed")
    assert wait_for(lambda: fleet.get("new.example").json.get("SITE_ID") == str(new))
    assert wait_for(lambda: fleet.get("further.example").json.get("SITE_ID") == str(changed))
    assert fleet.get("changed.example").status == 301
    assert fleet.get("renamed.example").json["site"] == "renamed"
    assert fleet.get("third.example").status == 404
