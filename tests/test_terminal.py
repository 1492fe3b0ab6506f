import io

import pytest

from sitefleet.terminal import Progress, columns, printable


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_a_name_is_seen_as_what_it_is_and_writes_to_no_other_line():
    evil = "a\x1b[2J\nb\u202ec"
    assert printable(evil) == "a\\x1b[2J\\nb\\u202ec"
    assert printable(evil, kept="\n") == "a\\x1b[2J\nb\\u202ec"


def test_columns_are_as_wide_as_their_widest_cell():
    assert columns(("id", "name"), [("1", "a"), ("1000", "b")]) == [
        "id    name",
        "1     a",
        "1000  b",
    ]
    assert columns(("id",), []) == ["id"]


def test_a_bar_is_drawn_and_taken_away():
    screen = Screen()
    bar = Progress(stream=screen)
    bar.clear()
    assert screen.getvalue() == ""
    bar(1, 4, "servers")
    assert screen.getvalue() == "\r\x1b[K[######..................] 1/4 servers"
    bar.clear()
    bar.clear()
    assert screen.getvalue().endswith("servers\r\x1b[K")


@pytest.mark.parametrize(
    ("quiet", "stream"), [(True, Screen()), (False, io.StringIO())], ids=["quiet", "no terminal"]
)
def test_a_bar_is_for_terminals_whose_owner_wants_it(quiet, stream):
    bar = Progress(quiet=quiet, stream=stream)
    bar(0, 0)
    bar.clear()
    assert stream.getvalue() == ""
