# ruff: noqa: RUF001 - letters that look alike are what this is about
import string

import pytest
from django.http.request import host_validation_re
from hypothesis import example, given
from hypothesis import strategies as st

from sitefleet import hosts
from sitefleet.exceptions import InvalidHost

LABEL = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
#: A name that ends in letters, so that it is no attempt at an IP address.
NAME = st.builds(
    lambda labels, last: ".".join([*labels, f"x{last}"]), st.lists(LABEL, max_size=4), LABEL
)
UNICODE_NAME = st.sampled_from(
    ["münchen.de", "bücher.example", "日本語.jp", "παράδειγμα.gr", "é.x"]
)

NORMAL = {
    "example.org": "example.org",
    "EXAMPLE.Org": "example.org",
    "example.org.": "example.org",
    "example.org:80": "example.org",
    "example.org:443": "example.org",
    "example.org:0080": "example.org",
    "example.org.:8000": "example.org:8000",
    "localhost": "localhost",
    "münchen.de": "xn--mnchen-3ya.de",
    "MÜNCHEN.de": "xn--mnchen-3ya.de",
    "xn--mnchen-3ya.DE": "xn--mnchen-3ya.de",
    "example。org": "example.org",
    "ｅｘａｍｐｌｅ.org": "example.org",
    "192.0.2.7:8000": "192.0.2.7:8000",
    "[::1]": "[::1]",
    "[0:0:0:0:0:0:0:1]:80": "[::1]",
    "[2001:DB8::00ff]:8000": "[2001:db8::ff]:8000",
    "a" * 63 + ".org": "a" * 63 + ".org",
    "a." * 126 + "a.": "a." * 126 + "a",
}
REFUSED = {
    "": "empty label",
    ".": "empty label",
    ".example.org": "empty label",
    "a..example.org": "empty label",
    "example.org..": "empty label",
    "exam_ple.org": "letters, digits",
    "-a.org": "letters, digits",
    "a-.org": "letters, digits",
    "a%2eorg": "letters, digits",
    "a.test, b.test": "letters, digits",
    "a.test,b.test": "letters, digits",
    "a b.test": "letters, digits",
    "a.test\t": "letters, digits",
    "a.test\r\nX: y": "one colon",
    "user@a.test": "letters, digits",
    "a.test/path": "letters, digits",
    "*.a.test": "letters, digits",
    "a.test:": "one colon",
    "a.test:x": "one colon",
    "a.test:+80": "one colon",
    "a.test:-1": "one colon",
    "a.test:80:80": "one colon",
    "a.test:٨٠": "one colon",
    "a.test:0": "between 1",
    "a.test:65536": "between 1",
    "a.test:" + "9" * 5000: "between 1",
    "::1": "one colon",
    "[::1": "no IPv6",
    "[::1]8000": "one colon",
    "[]": "no IPv6",
    "[1.2.3.4]": "no IPv6",
    "[fe80::1%eth0]": "no IPv6",
    "256.1.1.1": "no IPv4",
    "1.2.3": "no IPv4",
    "127.1": "no IPv4",
    "010.0.0.1": "no IPv4",
    "straße.de": "xn-- form",
    "a\u200db.de": "xn-- form",
    "a" * 64 + ".org": "63 characters",
    ".".join(["a" * 60] * 5): "253 characters",
    "a" * 100_000: "253 characters",
}


@pytest.mark.parametrize(("text", "normal"), NORMAL.items())
def test_a_host_has_one_normal_form(text, normal):
    assert hosts.normalize(text) == normal


@pytest.mark.parametrize(("text", "reason"), REFUSED.items(), ids=lambda text: repr(text[:30]))
def test_what_is_no_host_is_refused_with_the_reason(text, reason):
    with pytest.raises(InvalidHost) as raised:
        hosts.normalize(text)
    assert reason in raised.value.reason
    assert len(str(raised.value)) < 6000


@given(st.one_of(st.text(), NAME, UNICODE_NAME))
@example("ａ.ｂ")
@example("xn--")
def test_normal_form_is_final_and_its_own_spelling(text):
    try:
        normal = hosts.normalize(text)
    except InvalidHost:
        return
    assert hosts.normalize(normal) == normal
    assert normal.isascii()
    assert hosts.normalize_header(normal) == normal


@given(st.one_of(NAME, UNICODE_NAME), st.data())
def test_spellings_of_one_name_meet_in_one_normal_form(name, data):
    upper = data.draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    spelled = "".join(
        letter.upper() if up and len(letter.upper()) == 1 else letter
        for letter, up in zip(name, upper, strict=True)
        if letter != "ς"
    )
    dot, port = (
        data.draw(st.sampled_from(["", "."])),
        data.draw(st.sampled_from(["", ":80", ":443"])),
    )
    assert hosts.normalize(f"{spelled}{dot}{port}") == hosts.normalize(name)
    assert hosts.normalize(hosts.display(hosts.normalize(name))) == hosts.normalize(name)


@given(st.ip_addresses(v=6), st.sampled_from(["", ":80", ":8000"]))
def test_ipv6_has_one_spelling(address, port):
    short, long = f"[{address.compressed}]{port}", f"[{address.exploded.upper()}]{port}"
    assert hosts.normalize(short) == hosts.normalize(long)
    assert hosts.is_ip(hosts.normalize(short))


@given(st.from_regex(host_validation_re, fullmatch=True))
def test_what_django_accepts_is_normal_or_invalid_and_nothing_else(text):
    try:
        normal = hosts.normalize_header(text)
    except InvalidHost:
        return
    assert host_validation_re.fullmatch(normal)


@given(st.text())
def test_what_we_accept_django_accepts(text):
    try:
        hosts.normalize_header(text)
    except InvalidHost:
        return
    assert host_validation_re.fullmatch(text.lower())


@pytest.mark.parametrize("text", ["münchen.de", "bücher.example:8000", "example。org"])
def test_a_header_is_ascii(text):
    with pytest.raises(InvalidHost, match="ASCII"):
        hosts.normalize_header(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://example.org", "scheme"),
        ("https://example.org/", "scheme"),
        ("example.org/de", "slash"),
        ("exam ple.org", "spaces"),
        ("*.example.org", "only an alias"),
        ("*", "only an alias"),
    ],
)
def test_a_name_is_told_what_to_take_out(text, reason):
    with pytest.raises(InvalidHost, match=reason):
        hosts.normalize_name(text)


def test_a_name_is_freed_of_the_spaces_around_it():
    assert hosts.normalize_name("  Example.ORG \n") == "example.org"


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "*.",
        "a.*.org",
        "*a.org",
        "*.*.org",
        "**.org",
        "*.1.2.3.4",
        "*.[::1]",
        "*." + "a." * 127,
    ],
)
def test_a_wildcard_is_the_whole_first_label_of_a_domain(text):
    with pytest.raises(InvalidHost):
        hosts.normalize_name(text, wildcard=True)


def test_a_wildcard_is_in_normal_form_too():
    assert hosts.normalize_name("*.MÜNCHEN.de.:80", wildcard=True) == "*.xn--mnchen-3ya.de"
    assert hosts.normalize_name("*.example.org:8000", wildcard=True) == "*.example.org:8000"


def test_wildcards_come_longest_first_and_with_the_port_first():
    assert hosts.wildcards("a.b.example.org:81") == [
        "*.b.example.org:81",
        "*.b.example.org",
        "*.example.org:81",
        "*.example.org",
        "*.org:81",
        "*.org",
    ]


@pytest.mark.parametrize(
    "host", ["192.0.2.7", "192.0.2.7:8000", "[::1]", "[::1]:8000", "localhost"]
)
def test_ip_addresses_and_single_labels_have_no_wildcards(host):
    assert hosts.wildcards(host) == []


@given(st.one_of(NAME, st.ip_addresses(v=6).map(lambda ip: f"[{ip}]")), st.integers(1, 65535))
def test_split_takes_off_the_port_and_no_more(name, port):
    name = hosts.normalize(name)
    assert hosts.split(name) == (name, "")
    host = hosts.normalize(f"{name}:{port}")
    assert hosts.split(host) == (name, "" if port in hosts.DEFAULT_PORTS else str(port))


@given(NAME)
def test_www_twins_are_twins(name):
    assert hosts.www_twin(hosts.www_twin(name)) == name or name.startswith("www.www.")


def test_a_host_is_shown_as_people_write_it():
    assert hosts.display("xn--mnchen-3ya.de") == "münchen.de"
    assert hosts.display("xn--a-ecp.ru--.broken") == "xn--a-ecp.ru--.broken"
