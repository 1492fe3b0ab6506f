"""Each site is warmed up where it runs; a page that ends its process does so once."""

import re

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


@pytest.mark.parametrize("driver", ["zygote", "gunicorn"])
def test_each_server_asks_for_the_sites_that_it_forks_and_for_no_others(driver):
    listed = {"warm_up": ["/error/"]}
    own = {**listed, "environment": {"FLAVOUR": "mild"}}
    with (
        make_project(
            ["a", "b", "c", "d"],
            modes=dict.fromkeys("abc", "dedicated"),
            options={"a": own, "b": listed, "c": listed, "d": listed},
            SERVING={"environment": ["FLAVOUR"]},
        ) as project,
        project.up("--driver", driver) as fleet,
    ):
        told = re.findall(
            r"^(\S+) +Warm-up of (\w), /error/: status 500", fleet.output, re.MULTILINE
        )
    asked = {name: [slug for other, slug in told if other == name] for name, _ in told}
    assert asked.pop("shared") == ["d"]
    assert sorted(asked.values()) == [["a"], ["b", "c"]], fleet.output
