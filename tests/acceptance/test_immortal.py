"""What a parent has loaded is made immortal, and all goes on as ever: see `immortals`."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sitefleet.hosting.zygote.immortal import is_possible
from tests.acceptance.zygotes import make_project, running

pytestmark = pytest.mark.acceptance

#: Looks whether references are counted: to an object, a code object, and a text in a constant.
COUNTS = """
import gc, sys
from sitefleet.hosting.zygote.immortal import make_immortal

class Thing:
    def call(self):
        return ("a text of its own", 12345678)

class Closing:
    def __del__(self):
        print("freed")

thing, closing = Thing(), Closing()
make_immortal()
gc.freeze()
for kept in (thing, Thing.call.__code__, thing.call()[0]):
    before = sys.getrefcount(kept)
    more = [kept] * 10
    print(sys.getrefcount(kept) == before)
    del more
del closing
"""
#: What it says of itself at a page: whether references to a class are counted.
VIEW = """

def counted(request):
    import sys

    before = sys.getrefcount(HttpResponse)
    more = [HttpResponse] * 10
    return HttpResponse(str(sys.getrefcount(HttpResponse) - before))


from django.http import HttpResponse
urlpatterns.append(path("counted/", counted))
"""


def run(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, text=True, timeout=100
    )


def test_what_a_parent_has_loaded_is_not_written_to_by_who_reads_it():
    done = run("-c", COUNTS)
    assert done.stdout.split() == [str(is_possible())] * 3 + ["freed"]


if is_possible():  # else it is another story who frees what at the end

    @pytest.mark.parametrize("how", ["as it is", "in development mode"])
    def test_django_works_on_in_a_child_of_what_is_immortal_and_ends_as_ever(how):
        done = run(
            *(["-X", "dev"] if how != "as it is" else []), "-m", "tests.acceptance.immortals"
        )
        said = done.stdout.splitlines()
        assert said.count("worked") == 1
        assert said.count("child 0") == 1
        assert said.count("atexit") == said.count("atexit of the parent") == 1
        # By child and parent: each frees what it was, and writes what it had not written yet.
        assert said.count("freed") == said.count("the generator is closed") == 2
        assert "Fatal" not in done.stderr
        folder = Path(said[0])
        assert (folder / "kept").read_text() == "written at the end" * 2
        shutil.rmtree(folder)


@pytest.mark.parametrize("immortal", [True, False])
def test_it_is_switched_off_by_the_settings(immortal):
    with make_project(["one"]) as project:
        urls = project.folder / "project" / "urls.py"
        urls.write_text(urls.read_text() + VIEW)
        with running(project, immortal=immortal) as zygote:
            zygote.apply(one={})
            counted = int(zygote.get("one", "/counted/").body)
    assert (counted == 0) == (immortal and is_possible())
