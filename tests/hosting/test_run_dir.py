import fcntl
import os

import pytest

from sitefleet.exceptions import SiteError
from sitefleet.hosting.processes import run_dir as module
from sitefleet.hosting.processes.run_dir import (
    LONGEST_NAME,
    LONGEST_SOCKET,
    RunDir,
    run_dir_of,
    write_file,
)


def test_it_is_below_the_project_unless_it_is_named(tmp_path):
    assert run_dir_of(tmp_path).root == tmp_path / ".sitefleet"
    assert run_dir_of(tmp_path, "var").root == tmp_path / "var"
    assert str(run_dir_of(tmp_path, "/run/x").root) == "/run/x"


def test_each_path_of_a_socket_fits_or_the_excess_is_told():
    longest = "/" + "x" * (LONGEST_SOCKET - LONGEST_NAME - 1)
    made = RunDir(longest)
    assert not made.why_too_long()
    assert len(os.fsencode(made.socket(f"site-{2**63 - 1}"))) == LONGEST_SOCKET
    assert "by 1 bytes" in RunDir(f"{longest}x").why_too_long()


@pytest.fixture
def made(tmp_path):
    run_dir = RunDir(tmp_path / "r")
    run_dir.why_too_long = str  # the folders of a test are long
    run_dir.make()
    return run_dir


def test_it_is_for_its_user_alone_and_out_of_version_control(made):
    made.make()  # again, as the next start does
    assert made.root.stat().st_mode & 0o777 == 0o700
    assert (made.root / ".gitignore").read_text() == "*\n"


def test_a_directory_that_was_open_to_readers_is_so_no_more(made):
    for folder in (made.root, made.sockets):
        folder.chmod(0o755)
    made.make()
    assert {folder.stat().st_mode & 0o777 for folder in (made.root, made.sockets)} == {0o700}


@pytest.mark.parametrize("name", ["", "s", "logs", "etc"])
def test_a_directory_that_others_have_a_hand_in_is_refused(made, name, monkeypatch):
    folder = made.root / name
    folder.chmod(0o770)
    with pytest.raises(SiteError, match=f"{folder} can be written to by others: .* --run-dir"):
        made.make()
    folder.chmod(0o700)
    away = folder.rename(folder.with_name("away"))
    folder.symlink_to(away)
    with pytest.raises(SiteError, match=f"{folder} is a link"):
        made.make()
    folder.unlink()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(SiteError, match="belongs to another user"):
        made.make()


def test_what_a_link_in_it_points_to_is_left_alone(made, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (made.root / ".gitignore").unlink()
    (made.root / ".gitignore").symlink_to(precious)
    made.make()
    (made.root / "pid").symlink_to(precious)
    with pytest.raises(OSError, match="symbolic links"):
        made.lock()
    assert precious.read_text() == "mine"


def test_it_belongs_to_one_process_until_that_leaves_it(made):
    made.lock()
    assert made.is_taken
    with pytest.raises(SiteError, match=f"already .process {os.getpid()}.: sitefleet stop"):
        RunDir(made.root).lock()
    made.unlock()
    assert not made.is_taken
    RunDir(made.root).lock()


def test_who_asks_whether_a_fleet_runs_does_not_refuse_one_that_starts(made, monkeypatch):
    (made.root / "pid").touch()
    handle = os.open(made.root / "pid", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)  # as `is_taken` has it for a moment
    monkeypatch.setattr(module.time, "sleep", lambda _seconds: fcntl.flock(handle, fcntl.LOCK_UN))
    made.lock()
    os.close(handle)


def test_a_directory_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    run_dir = RunDir(tmp_path / "file" / "r")
    run_dir.why_too_long = str
    with pytest.raises(SiteError, match=r"Sockets cannot be made in .*: Not a directory"):
        run_dir.make()


def test_a_file_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "a.py"
    write_file(path, "one")
    write_file(path, "two")
    assert [file.name for file in tmp_path.iterdir()] == ["a.py"]
    assert path.read_text() == "two"
