import importlib.util
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList

from sitefleet.naming import clean_domain
from sitefleet.suffixes import _rules, is_public_suffix

ROOT = Path(__file__).parent.parent
LIBRARY = PublicSuffixList(accept_unknown=False)
RULES = sorted(_rules())


def as_name(rule, label):
    """Make a name of a rule: what stands for the star is `label`."""
    return rule.removeprefix("!").replace("*", label)


def library_says(name):
    return LIBRARY.publicsuffix(name) == name


def load_tool():
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools/update_public_suffixes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_rule_is_read_as_the_library_reads_it():
    names = {as_name(rule, "any") for rule in RULES}
    names |= {f"own.{name}" for name in names} | {name.partition(".")[2] for name in names}
    names.discard("")
    wrong = [name for name in sorted(names) if is_public_suffix(name) != library_says(name)]
    assert wrong == []


@given(
    st.sampled_from(RULES),
    st.from_regex("[a-z0-9]{1,8}", fullmatch=True),
    st.lists(st.sampled_from(["a", "www", "city", "xn--mnchen-3ya"]), max_size=2),
)
def test_names_around_the_rules_are_read_as_the_library_reads_them(rule, label, below):
    name = ".".join([*below, as_name(rule, label)])
    assert is_public_suffix(name) == library_says(name)


def test_the_data_file_is_what_the_tool_renders():
    tool = load_tool()
    assert tool.TARGET.read_text("ascii") == tool.render(), "run `make suffixes`"


@pytest.mark.parametrize(
    "name", ["com", "co.uk", "github.io", "ck", "any.ck", "xn--p1ai", "k12.ca.us"]
)
def test_no_site_is_named_like_a_public_suffix(name):
    with pytest.raises(ValidationError) as raised:
        clean_domain(name)
    assert raised.value.code == "public_suffix"
    with pytest.raises(ValidationError):
        clean_domain(f"*.{name}", wildcard=True)
    with pytest.raises(ValidationError):
        clean_domain(f"{name}:8000")


@pytest.mark.parametrize(
    "name", ["example.co.uk", "www.ck", "localhost", "intranet", "me.github.io"]
)
def test_names_below_suffixes_and_private_names_are_free(name):
    assert clean_domain(name) == name


@override_settings(SITEFLEET={"OWN_SUFFIXES": ["github.io"]})
def test_a_suffix_that_is_ones_own_may_name_a_site():
    assert clean_domain("github.io") == "github.io"
    assert clean_domain("*.github.io", wildcard=True) == "*.github.io"
    with pytest.raises(ValidationError):
        clean_domain("co.uk")
