"""A page that ends the process which warms up with it does so once, and takes no site down."""

import pytest

from tests.acceptance.fleets import make_project, wait_for

pytestmark = pytest.mark.acceptance


@pytest.mark.parametrize(("driver", "dedicated"), [("zygote", "zygote"), ("gunicorn", "gunicorn-")])
def test_a_page_that_ends_its_process_does_so_once(driver, dedicated):
    crash = {"warm_up": ["/crash/"]}
    with (
        make_project(
            ["a", "b", "c", "d"],
            modes={"a": "dedicated", "b": "dedicated"},
            options={"a": crash, "c": crash},
        ) as project,
        project.up("--driver", driver) as fleet,
    ):
        for slug in "abcd":
            assert wait_for(lambda slug=slug: fleet.get(slug).status == 200, 15), fleet.output
        for server in (dedicated, "shared"):
            lines = [line for line in fleet.output.splitlines() if line.startswith(server)]
            told = [line for line in lines if "/crash/: a process ended while" in line]
            crashes = [line for line in lines if "ended (exit status" in line]
            assert (len(told), len(crashes)) == (1, 1), fleet.output
