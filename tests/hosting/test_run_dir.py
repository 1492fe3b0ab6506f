import os

import pytest

from sitefleet.exceptions import SiteError
from sitefleet.hosting.run_dir import LONGEST_NAME, LONGEST_SOCKET, RunDir, run_dir_of


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


def test_it_belongs_to_one_process_until_that_leaves_it(made):
    made.lock()
    assert made.is_taken
    with pytest.raises(SiteError, match=f"already .process {os.getpid()}.: sitefleet stop"):
        RunDir(made.root).lock()
    made.unlock()
    assert not made.is_taken
    RunDir(made.root).lock()


def test_a_directory_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    run_dir = RunDir(tmp_path / "file" / "r")
    run_dir.why_too_long = str
    with pytest.raises(SiteError, match=r"Sockets cannot be made in .*: Not a directory"):
        run_dir.make()
