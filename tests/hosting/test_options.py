import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sitefleet.hosting.planning.options import (
    NAMES,
    RULES,
    InvalidOptions,
    Options,
    clean_options,
    make_options,
    parse_option,
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=4,
)


def test_each_option_has_a_rule_and_its_default_obeys_it():
    assert tuple(RULES) == NAMES
    assert not any(RULES[name](getattr(Options(), name)) for name in NAMES)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"workers": 0}, "workers is a whole number, from 1 to 64."),
        ({"workers": True}, "workers is a whole number"),
        ({"timeout": "30"}, "timeout is a whole number of seconds"),
        ({"interface": "fcgi"}, "interface is wsgi or asgi"),
        ({"warm_up": ["news"]}, "warm_up is a list of at most 50 paths"),
        ({"warm_up": ["/a b"]}, "warm_up"),
        (
            {"environment": {"PATH": "/evil"}},
            "environment cannot set PATH: it would decide what code runs.",
        ),
        ({"environment": {"TASTE": "x"}}, "does not list it"),
        ({"environment": {"FLAVOUR": "a\nb"}}, "environment is a dictionary of text"),
        ({"worker": 2}, "Did you mean workers?"),
        ({"hook": "exec:sh"}, "Known are"),
        ({"harakiri": 3, "timeout": 4}, "timeout is given twice."),
        ("workers = 5", "Options are a dictionary"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_used_is_named(values, said):
    with pytest.raises(InvalidOptions) as error:
        clean_options(values, ["FLAVOUR"])
    assert said in str(error.value)


def test_all_problems_are_named_at_once():
    with pytest.raises(InvalidOptions) as error:
        clean_options({"workers": 0, "idle": -1})
    assert len(error.value.problems) == 2


def test_options_are_known_by_the_names_that_other_servers_give_them():
    given = {"harakiri": 20, "processes": 5, "max-requests": 100, "cheap": 10}
    assert clean_options(given) == {
        "timeout": 20,
        "workers": 5,
        "max_requests": 100,
        "idle": 10,
    }


def test_none_takes_an_option_away():
    assert clean_options({"workers": None}) == {}


def test_later_layers_go_before_earlier_ones():
    made = make_options({"workers": 2, "threads": 4}, {"workers": 3})
    assert (made.workers, made.threads) == (3, 4)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), ANYTHING, max_size=4))
def test_whatever_raw_sql_has_put_there_makes_usable_options(values):
    made = make_options(values)
    assert clean_options(made.as_json(), made.environment) == made.as_json()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("workers", " 5 ", 5),
        ("harakiri", "20", 20),
        ("interface", "asgi", "asgi"),
        ("warm_up", "/ /news/", ["/", "/news/"]),
        ("environment", "A=1 B=x=y", {"A": "1", "B": "x=y"}),
    ],
)
def test_options_are_read_from_text(name, text, value):
    assert parse_option(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [("workers", "-1"), ("workers", "٣"), ("workers", "9" * 5000), ("wrkers", "1")],
)
def test_text_that_is_no_value_is_refused(name, text):
    with pytest.raises(InvalidOptions, match="workers"):
        parse_option(name, text)
