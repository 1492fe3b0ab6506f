"""Each type: what is a value, that JSON loses nothing of it, how it is entered, what is refused."""

import json
import math
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from sitefleet.kinds import KINDS, Custom, shorten

CHOICES = ["red", ("blue", "Blue as the sky"), 7]
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def kind(name, **options):
    if name == "choice":
        options.setdefault("choices", CHOICES)
    return KINDS[name](**options)


def kept(value_kind, value):
    """Return a value as it comes back from a database."""
    return value_kind.load(json.loads(json.dumps(value_kind.dump(value_kind.clean(value)))))


LINES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]))
VALUES = {
    "str": LINES,
    "text": st.text(st.characters(exclude_categories=["Cc", "Cs"])),
    "int": st.integers(-(2**53) + 1, 2**53 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "date": st.dates(),
    "datetime": st.datetimes(timezones=st.timezones())
    | st.datetimes(timezones=st.just(timezone(timedelta(hours=-3)))),
    "time": st.times(),
    "duration": st.timedeltas(),
    "email": st.emails(domains=st.just("example.org")).filter(lambda text: '"' not in text),
    "url": st.sampled_from(["https://example.org/", "http://example.org:8000/ä?b=c#d"]),
    "choice": st.sampled_from(["red", "blue", 7]),
    "list": st.lists(LINES.map(str.strip).filter(bool)),
    "language": st.sampled_from(["en", "de", "pt-br"]),
    "timezone": st.sampled_from(["Africa/Accra", "UTC", "US/Pacific"]),
    "json": st.recursive(
        st.booleans() | st.integers(-(2**53), 2**53) | LINES,
        lambda inner: st.lists(inner) | st.dictionaries(LINES, inner),
    ),
}
EVERYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.lists(st.integers() | st.text()),
    st.dictionaries(st.text(), st.text()),
)


def test_each_type_is_tested_here():
    assert VALUES.keys() == KINDS.keys()


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_json_loses_nothing(name, data):
    value = data.draw(VALUES[name])
    try:
        cleaned = kind(name).clean(value)
    except ValidationError:
        assert name == "datetime"  # in UTC it is before the year 1, or after 9999
        return
    back = kept(kind(name), value)
    if name == "datetime":  # Python says of an hour that is there twice that it equals no other
        value = value.astimezone(UTC)
    assert back == cleaned == value
    assert type(back) is type(cleaned)
    if name == "datetime":
        assert back.tzinfo is UTC
    if name == "decimal":
        assert str(back) == str(value)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=12, deadline=None)
@given(junk=EVERYTHING)
def test_junk_in_the_database_is_refused_and_breaks_nothing(name, junk):
    try:
        value = kind(name).load(junk)
    except ValidationError:
        return
    assert isinstance(value, (int, str) if name == "choice" else KINDS[name].python)
    assert kept(kind(name), value) == value


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=12, deadline=None)
@given(text=st.text())
def test_junk_on_the_command_line_is_refused_and_breaks_nothing(name, text):
    try:
        value = kind(name).parse(text)
    except ValidationError:
        return
    assert kept(kind(name), value) == value


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_form_gives_back_what_it_shows(name, data):
    value = data.draw(VALUES[name])
    try:
        value = kind(name).clean(value)
    except ValidationError:
        return
    if name in {"datetime", "time"}:
        value = value.replace(microsecond=0)  # the widgets have no more
    if name == "datetime" and not 1000 <= value.year < 9999:
        return  # strftime() writes 999 for 0999
    if name == "date" and value.year < 1000:
        return
    field = kind(name).form_field("hint")

    class Form(forms.Form):
        shown = field

    bound = Form(initial={"shown": value})["shown"]
    sent = bound.value()
    widget = bound.field.widget
    sent = widget.format_value(sent)
    sent = sent[0] if isinstance(sent, list) and name != "json" else sent
    form = Form({"shown": "" if sent is None else sent}, initial={"shown": value})
    assert form.is_valid(), form.errors
    if value in ("", [], {}):
        assert form.cleaned_data["shown"] in form.fields["shown"].empty_values
    else:
        assert form.cleaned_data["shown"] == value
    assert not form.has_changed()


GOOD = [
    ("str", {}, "  two  ", "  two  "),
    ("str", {}, "", ""),
    ("str", {"max_length": 3}, "abc", "abc"),
    ("text", {}, "one\n\ttwo", "one\n\ttwo"),
    ("int", {"min": 0, "max": 5}, "5", 5),
    ("float", {}, "1.5", 1.5),
    ("float", {}, "2", 2.0),
    ("decimal", {"max_digits": 4, "decimal_places": 2}, "12.30", Decimal("12.30")),
    ("bool", {}, "Yes", True),
    ("bool", {}, "0", False),
    ("bool", {}, "off", False),
    ("date", {}, "2026-05-17", date(2026, 5, 17)),
    ("datetime", {}, "2026-05-17T18:00Z", datetime(2026, 5, 17, 18, tzinfo=UTC)),
    ("datetime", {}, "2026-05-17 18:00+02:00", datetime(2026, 5, 17, 16, tzinfo=UTC)),
    ("time", {}, "18:30", time(18, 30)),
    ("duration", {}, "3 04:05:06", timedelta(3, 5 + 6 - 5, hours=4, minutes=5)),
    ("duration", {}, "P1DT2H", timedelta(1, hours=2)),
    ("email", {}, "info@example.org", "info@example.org"),
    ("email", {}, "Ghana <info@example.gh>", "Ghana <info@example.gh>"),
    ("email", {}, "Dr. No <no@example.org>", "Dr. No <no@example.org>"),
    ("email", {}, '"Müller, GmbH" <a@bücher.example>', '"Müller, GmbH" <a@bücher.example>'),
    ("url", {}, "https://example.org/a?b=c", "https://example.org/a?b=c"),
    ("choice", {}, "blue", "blue"),
    ("choice", {}, "7", 7),
    ("list", {}, "a, b ,c", ["a", "b", "c"]),
    ("list", {}, '["a, b", "c"]', ["a, b", "c"]),
    ("list", {}, "", []),
    ("language", {}, "de", "de"),
    ("timezone", {}, "Africa/Accra", "Africa/Accra"),
    ("json", {}, '{"a": [1, true, null]}', {"a": [1, True, None]}),
    ("json", {}, r'"\\u0000"', r"\u0000"),
]


@pytest.mark.parametrize(("name", "options", "text", "value"), GOOD)
def test_a_value_is_read_from_a_command_line(name, options, text, value):
    read = kind(name, **options).parse(text)
    assert read == value
    assert type(read) is type(value)


WRONG = [
    ("str", {}, "two\nlines", "control characters"),
    ("str", {}, "x\r\nBcc: all@example.org", "control characters"),
    ("str", {}, "\u2028", "control characters"),
    ("str", {}, "\x00", "control characters"),
    ("str", {}, "\ud800", "control characters"),
    ("str", {}, 5, "not a line of text"),
    ("str", {"max_length": 3}, "abcd", "more than 3 characters"),
    ("text", {}, "\x00", "control characters"),
    ("text", {}, "a\rb", "control characters"),
    ("int", {}, True, "not a whole number"),
    ("int", {}, 1.0, "not a whole number"),
    ("int", {}, "5", "not a whole number"),
    ("int", {}, 2**53, "not a whole number"),
    ("int", {"min": 1}, 0, "less than 1"),
    ("int", {"max": 1}, 2, "more than 1"),
    ("float", {}, math.nan, "not a number"),
    ("float", {}, math.inf, "not a number"),
    ("float", {}, 10**400, "not a number"),
    ("float", {}, True, "not a number"),
    ("float", {"min": 0.5}, 0.25, "less than 0.5"),
    ("decimal", {}, "NaN", "not a decimal number"),
    ("decimal", {}, "Infinity", "not a decimal number"),
    ("decimal", {}, "x", "not a decimal number"),
    ("decimal", {}, 1.5, "not a decimal number"),
    ("decimal", {"max_digits": 3}, "1234", "no more than 3 digits"),
    ("bool", {}, 1, "not one of the choices"),
    ("bool", {}, "True", "not one of the choices"),
    ("date", {}, "17.5.2026", "not a date"),
    ("date", {}, datetime(2026, 5, 17, tzinfo=UTC), "not a date"),
    ("datetime", {}, datetime(2026, 5, 17), "no time zone"),  # noqa: DTZ001 - on purpose
    ("datetime", {}, "2026-05-17", "no time zone"),
    ("datetime", {}, "soon", "not a date and time"),
    ("datetime", {}, datetime(1, 1, 1, tzinfo=BERLIN), "not a date and time"),
    ("time", {}, "25:00", "not a time"),
    ("time", {}, time(1, tzinfo=UTC), "not a time"),
    ("duration", {}, "long", "not a duration"),
    ("duration", {}, "P999999999999D", "not a duration"),
    ("email", {}, "info", "not a mail address"),
    ("email", {}, "", "not a mail address"),
    ("email", {}, "<", "not a mail address"),
    ("email", {}, "a@example.org, b@example.org", "not a mail address"),
    ("email", {}, "All: a@example.org;", "not a mail address"),
    ("email", {}, "A <a@example.org> b", "not a mail address"),
    ("email", {}, "A <a@example.org>\nBcc: b@example.org", "control characters"),
    ("url", {}, "example.org", "not an address"),
    ("url", {}, "javascript:alert(1)", "not an address"),
    ("url", {}, "ftp://example.org/", "not an address"),
    ("url", {}, "https://joe:secret@example.org/", "a user or a password"),
    ("choice", {}, "green", "not one of the choices"),
    ("choice", {}, 7.0, "not one of the choices"),
    ("choice", {"choices": [0, 1]}, True, "not one of the choices"),
    ("list", {}, "a", "not a list of lines"),
    ("list", {}, ["a", ""], "an entry that is empty"),
    ("list", {}, [" a"], "an entry that is empty or has spaces"),
    ("list", {}, ["a\nb"], "control characters"),
    ("list", {}, [1], "not a line of text"),
    ("language", {}, "xx", "not one of the choices"),
    ("timezone", {}, "Ghana", "not a time zone"),
    ("timezone", {}, "../../etc/passwd", "not a time zone"),
    ("json", {}, None, "JSON can keep"),
    ("json", {}, (1, 2), "JSON can keep"),
    ("json", {}, {1: 2}, "JSON can keep"),
    ("json", {}, [math.nan], "JSON can keep"),
    ("json", {}, "\x00", "JSON can keep"),
    ("json", {}, ["\ud800"], "JSON can keep"),
    ("json", {}, b"bytes", "JSON can keep"),
]


@pytest.mark.parametrize(("name", "options", "value", "reason"), WRONG, ids=shorten)
def test_what_is_no_value_is_refused_with_a_reason(name, options, value, reason):
    with pytest.raises(ValidationError) as caught:
        kind(name, **options).clean(value)
    assert reason in " ".join(caught.value.messages)


def nested(levels):
    value = 1
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


def test_json_has_32_levels_at_most():
    json_kind = kind("json")
    assert kept(json_kind, nested(32)) == nested(32)
    for value in (nested(33), nested(470)):
        for read, given_ in ((json_kind.load, value), (json_kind.parse, json.dumps(value))):
            with pytest.raises(ValidationError, match="more than 32 levels"):
                read(given_)
    with pytest.raises(ValidationError, match="list of many levels"):
        json_kind.check(nested(100_001))


@pytest.mark.parametrize("sent", ["[" * 33 + "]" * 33, "[" * 900 + "]" * 900, "[" * 100_000])
@pytest.mark.parametrize("made", [kind("json"), Custom(forms.JSONField)], ids=["json", "field"])
def test_a_form_refuses_what_is_nested_too_deep(made, sent):
    with pytest.raises(ValidationError, match="more than 32 levels"):
        made.form_field("-").clean(sent)


@pytest.mark.parametrize("sent", ["[" * 33 + "]" * 33, "[" * 900 + "]" * 900, "[" * 100_000])
def test_a_form_shows_again_what_was_nested_too_deep(sent):
    field = kind("json").form_field("-")
    assert field.prepare_value(field.bound_data(sent, None)) == sent
    assert field.has_changed(None, sent)


def test_a_password_is_not_shown_in_the_message():
    with pytest.raises(ValidationError) as caught:
        kind("url").clean("https://joe:secret@example.org/")
    assert "secret" not in str(caught.value)


def test_a_long_value_is_shortened_in_the_message():
    with pytest.raises(ValidationError) as caught:
        kind("int").clean("x" * 10_000)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("name", "options", "sent", "reason"),
    [
        ("str", {}, "two\nlines", "control characters"),
        ("str", {"max_length": 3}, "abcd", "more than 3 characters"),
        ("int", {"min": 1}, "0", "less than 1"),
        ("int", {}, str(2**53), "not a whole number"),
        ("decimal", {"max_digits": 3}, "1234", "no more than 3 digits"),
        ("email", {}, "info", "not a mail address"),
        ("url", {}, "javascript:alert(1)", "not an address"),
        ("url", {}, "https://joe:secret@example.org/", "a user or a password"),
        ("choice", {}, "green", "Select a valid choice"),
        ("timezone", {}, "Ghana", "Select a valid choice"),
        ("list", {}, "a\x07b", "control characters"),
        ("json", {}, '"\\ud800"', "JSON can keep"),
        ("datetime", {}, "0001-01-01 00:00", "not a date and time"),
    ],
    ids=shorten,
)
def test_a_form_tells_what_is_wrong(name, options, sent, reason):
    with override_settings(TIME_ZONE="Europe/Berlin"), pytest.raises(ValidationError) as caught:
        kind(name, **options).form_field("hint").clean(sent)
    assert reason in " ".join(caught.value.messages)
    assert len(caught.value.messages) == 1


@pytest.mark.parametrize("name", KINDS)
def test_a_form_may_stay_empty_and_says_what_holds_then(name):
    class Form(forms.Form):
        shown = kind(name).form_field("what the project has")

    form = Form({"shown": ""})
    assert form.is_valid()
    assert form.cleaned_data["shown"] in form.fields["shown"].empty_values
    assert not form.has_changed()
    assert "what the project has" in str(Form()["shown"])


def test_values_of_an_enumeration_are_taken_and_come_back_plain():
    from enum import StrEnum  # noqa: PLC0415 - as a project would have it

    class Colour(StrEnum):
        RED = "red"

    value = kind("choice").clean(Colour.RED)
    assert (value, type(value)) == ("red", str)


def test_without_time_zones_a_moment_has_none():
    with override_settings(USE_TZ=False):
        moment = datetime(2026, 5, 17, 18)  # noqa: DTZ001 - on purpose
        assert kept(kind("datetime"), moment) == moment
        assert kind("datetime").parse("2026-05-17T18:00") == moment
        with pytest.raises(ValidationError, match="has a time zone"):
            kind("datetime").clean(moment.replace(tzinfo=UTC))


def test_a_moment_without_zone_on_the_command_line_is_one_of_the_current_zone():
    with override_settings(TIME_ZONE="Europe/Berlin"):
        assert kind("datetime").parse("2026-05-17T18:00") == datetime(2026, 5, 17, 16, tzinfo=UTC)
        with pytest.raises(ValidationError, match="ambiguous"):
            kind("datetime").parse("2026-10-25T02:30")


def test_browsers_may_send_their_line_ends():
    assert kind("text").form_field("").clean("a\r\nb") == "a\nb"
    assert kind("list").form_field("").clean("a\r\n\r\n b \r\n") == ["a", "b"]


# --- fields of the project ---------------------------------------------------


@pytest.mark.parametrize(
    ("field", "sent", "value"),
    [
        (forms.SlugField, "a-b", "a-b"),
        (forms.DateField, "2026-05-17", date(2026, 5, 17)),
        (forms.DecimalField, "1.50", Decimal("1.50")),
        (forms.UUIDField, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", None),
        (
            lambda: forms.MultipleChoiceField(choices=[("a", "A"), ("b", "B")]),
            ["a", "b"],
            ["a", "b"],
        ),
        (lambda: forms.TypedChoiceField(choices=[(1, "A")], coerce=int), "1", 1),
    ],
)
def test_what_a_field_of_the_project_makes_comes_back(field, sent, value):
    custom = Custom(field)
    cleaned = custom.form_field("hint", label="L", help_text="H").clean(sent)
    assert kept(custom, cleaned) == cleaned
    assert value is None or cleaned == value


def test_what_such_a_field_makes_and_json_cannot_keep_is_refused():
    class Set(forms.CharField):
        def to_python(self, value):
            return set(value)

    class Upper(forms.CharField):
        def to_python(self, value):
            return f"{value}!"

    for field in (Set, Upper):
        with pytest.raises(ValidationError, match="comes back from the database"):
            Custom(field).form_field("hint").clean("ab")


def test_a_field_that_stumbles_over_junk_refuses_it():
    with pytest.raises(ValidationError):
        Custom(forms.DateField).load(5)
