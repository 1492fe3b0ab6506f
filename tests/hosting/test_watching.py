import os

import pytest

from sitefleet.hosting.supervising.watching import changes


@pytest.fixture
def project(tmp_path):
    for folder in ("shop", ".venv", "node_modules", "run"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.py").touch()
    return tmp_path


async def changed_after(project, act):
    found = changes(project, project / "run", every=0)
    waiting = found.__aiter__()
    task = waiting.__anext__()
    task.send(None)  # it has seen the files as they are now
    act()
    path = await waiting_for(task)
    await found.aclose()
    return path


async def waiting_for(task):
    try:
        while True:
            task.send(None)
    except StopIteration as ended:
        return ended.value


@pytest.mark.parametrize("act", ["write", "add", "remove"])
async def test_a_change_of_code_is_seen(project, act):
    path = project / "shop" / ("b.py" if act == "add" else "a.py")
    acts = {"write": lambda: os.utime(path, (1, 1)), "add": path.touch, "remove": path.unlink}
    assert await changed_after(project, acts[act]) == path


async def test_what_is_not_the_projects_is_not_looked_at(project):
    def act():
        for name in (".venv/b.py", "node_modules/b.py", "run/b.py", "shop/b.html", "shop/z.py"):
            (project / name).touch()

    assert await changed_after(project, act) == project / "shop" / "z.py"
