"""What SITE_SETTINGS may declare, what is refused and why, and what is kept of a site's values."""

from datetime import date
from decimal import Decimal

import pytest
from django import forms
from django.core.exceptions import ValidationError
from django.test import override_settings
from django.utils.translation import gettext_lazy

from sitefleet import conf
from sitefleet.declared import MISSING, clean_settings, declarations, find_problems, parse
from sitefleet.django_settings import PER_SITE, TABLE
from sitefleet.exceptions import InvalidSetting


def declaring(**declared):
    return override_settings(SITEFLEET={"SITE_SETTINGS": declared})


def broken_field():
    message = "on purpose"
    raise RuntimeError(message)


# --- declarations ------------------------------------------------------------


def test_a_declaration_has_a_type_a_default_a_label_and_help():
    with declaring(
        OPENS={"type": "date", "default": "2026-05-17", "label": "Opens on", "help": "The day."},
        PRICE={"type": "decimal", "default": Decimal("1.50"), "label": gettext_lazy("Price")},
        NOTHING={"type": "int", "default": None},
        PLAIN={"type": "str"},
        SLUG={"field": "django.forms.SlugField"},
    ):
        assert find_problems() == []
        found = declarations()
    assert list(found) == ["OPENS", "PRICE", "NOTHING", "PLAIN", "SLUG"]
    assert found["OPENS"].default == date(2026, 5, 17)
    assert found["PRICE"].default == Decimal("1.50")
    assert found["NOTHING"].default is None
    assert found["PLAIN"].default is MISSING
    field = found["OPENS"].form_field("hint")
    assert (field.label, field.help_text, field.required) == ("Opens on", "The day.", False)
    assert found["PLAIN"].form_field("hint").label == "PLAIN"
    assert isinstance(found["SLUG"].form_field("hint"), forms.SlugField)


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.verdict == PER_SITE])
def test_settings_that_django_knows_need_no_type(name):
    if TABLE[name].types in ((), ("choice",)):
        with declaring(**{name: {}}):
            assert [mistake.id for mistake in find_problems()] == ["sitefleet.E341"]
        return
    with declaring(**{name: {}}):
        assert find_problems() == []
        assert list(declarations()) == [name]


WRONG = [
    ({"X": {}}, "it has no type", "Types are: str, text"),
    ({"X": {"type": "strr"}}, "no type 'strr'", "Did you mean 'str'?"),
    ({"X": {"type": "zzzzz"}}, "no type 'zzzzz'", "Known are: str"),
    ({"X": {"type": ["str"]}}, "no type", "Did you mean 'str'"),
    ({"X": {"type": "int", "minimum": 5}}, "no key 'minimum'", "Did you mean 'min'?"),
    ({"X": {"type": "str", "min": 5}}, "no key 'min'", "Known are: type"),
    ({"X": {"type": "str", 5: 5}}, "no key 5", "Known are: type"),
    ({"X": {"type": "str", "field": "django.forms.SlugField"}}, "'type' and a 'field'", "Take one"),
    ({"X": {"type": "str", "label": 5}}, "'label' is 5", "It is a text"),
    ({"X": {"type": "str", "help": None}}, "'help' is None", "It is a text"),
    ({"X": {"type": "int", "min": "1"}}, "'min' cannot be '1'", "Correct SITE_SETTINGS['X']"),
    ({"X": {"type": "int", "min": True}}, "'min' cannot be True", "Correct"),
    ({"X": {"type": "int", "min": 2, "max": 1}}, "'min' is 2 and 'max' is 1", "Correct"),
    ({"X": {"type": "choice"}}, "needs 'choices'", "Correct"),
    ({"X": {"type": "choice", "choices": []}}, "needs 'choices'", "Correct"),
    ({"X": {"type": "choice", "choices": "ab"}}, "'choices' cannot be 'ab'", "Correct"),
    ({"X": {"type": "choice", "choices": [1.5]}}, "neither a text nor", "Correct"),
    ({"X": {"type": "choice", "choices": [True]}}, "neither a text nor", "Correct"),
    ({"X": {"type": "choice", "choices": [""]}}, "no choice can be empty", "Correct"),
    ({"X": {"type": "choice", "choices": [1, "1"]}}, "is there twice", "Correct"),
    ({"X": {"type": "int", "default": "5"}}, "default cannot be used: '5' is not a", "this type"),
    ({"X": {"type": "int", "max": 5, "default": 6}}, "default cannot be used", "this type"),
    ({"X": {"field": "django.forms.NoField"}}, "'field' cannot be used: ImportError", "form field"),
    ({"X": {"field": 5}}, "'field' cannot be used: TypeError", "form field"),
    ({"X": {"field": dict}}, "which is no form field", "form field"),
    ({"X": {"field": broken_field}}, "RuntimeError: on purpose", "form field"),
    ({"DEFAULT_FROM_EMAIL": {"default": "a@b.org"}}, "default is never used", "settings.py: DEFAU"),
    ({"TIME_ZONE": {"type": "str"}}, "its type is 'str'", "Django wants the type 'timezone'"),
    ({"MESSAGE_STORAGE": {"type": "str"}}, "its type is 'str'", "the type 'choice'"),
]


@pytest.mark.parametrize(("declared", "told", "hint"), WRONG, ids=lambda value: str(value)[:36])
def test_a_declaration_that_cannot_be_used_is_told_with_a_hint(declared, told, hint):
    with declaring(**declared, FINE={"type": "str"}):
        (mistake,) = find_problems()
        assert list(declarations()) == ["FINE"]
    assert mistake.id == "sitefleet.E341"
    assert told in mistake.message
    assert next(iter(declared)) in mistake.message
    assert hint in mistake.hint


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ({"opens": {"type": "date"}}, "'opens' is no name of a setting"),
        ({"_X": {"type": "date"}}, "is no name of a setting"),
        ({5: {"type": "date"}}, "5 is no name of a setting"),
        ({"OPENS": "date"}, "OPENS needs a dictionary"),
        ({"OPENS": None}, "OPENS needs a dictionary"),
    ],
)
def test_what_is_no_declaration_is_a_wrong_setting(declared, reason):
    with override_settings(SITEFLEET={"SITE_SETTINGS": declared}):
        (problem,) = conf.find_problems()
        assert reason in problem.hint
        with pytest.raises(InvalidSetting):
            declarations()


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.verdict != PER_SITE])
def test_a_setting_of_django_that_cannot_follow_is_refused_with_the_reason_and_the_way(name):
    with declaring(**{name: {"type": "str"}}):
        (mistake,) = find_problems()
        assert declarations() == {}
    secret = TABLE[name].verdict == "secret"
    assert mistake.id == ("sitefleet.E343" if secret else "sitefleet.E342")
    assert name in mistake.message
    assert secret or mistake.message.endswith(TABLE[name].why)
    assert secret or mistake.hint == TABLE[name].way


@pytest.mark.parametrize(
    "name",
    [
        "STRIPE_API_KEY",
        "STRIPE_KEY",
        "S3_SECRET",
        "SECRET",
        "GITHUB_TOKEN",
        "TOKENS",
        "DB_PASSWORD",
        "SMTP_PASS",
        "AWS_CREDENTIALS",
        "SENTRY_DSN",
        "WEBHOOK_SIGNATURE",
        "PRIVATE_KEY_FILE",
    ],
)
def test_a_secret_is_refused_by_its_name(name):
    with declaring(**{name: {"type": "str"}}):
        (mistake,) = find_problems()
        assert declarations() == {}
    assert mistake.id == "sitefleet.E343"
    assert f"GH_{name}" in mistake.hint


@pytest.mark.parametrize(
    "name",
    ["KEYWORDS", "MONKEY", "PASSENGERS", "COMPASS", "TOKENIZER", "RECAPTCHA_PUBLIC_KEY"],
)
def test_what_only_looks_like_a_secret_is_none(name):
    with declaring(**{name: {"type": "str"}}):
        assert find_problems() == []


def test_the_time_until_a_password_reset_ends_is_no_secret():
    with declaring(PASSWORD_RESET_TIMEOUT={}):
        assert find_problems() == []


# --- values ------------------------------------------------------------------


@pytest.fixture
def declared():
    with declaring(OPENS={"type": "date"}, ITEMS={"type": "int", "max": 9}, WORDS={"type": "list"}):
        yield


@pytest.mark.usefixtures("declared")
class TestValues:
    def test_they_are_kept_as_json_whatever_they_are_given_as(self):
        given = {"OPENS": date(2026, 5, 17), "ITEMS": 5, "WORDS": ("a", "b")}
        kept = {"OPENS": "2026-05-17", "ITEMS": 5, "WORDS": ["a", "b"]}
        assert clean_settings(given) == clean_settings(kept) == kept

    def test_none_takes_a_value_away(self):
        assert clean_settings({"ITEMS": None}) == {}
        assert clean_settings({"ITEMS": None}, {"ITEMS": 5}) == {}

    def test_all_that_is_wrong_is_told_by_name(self):
        with pytest.raises(ValidationError) as caught:
            clean_settings({"OPENS": "soon", "ITEMS": 10, "WORDS": ["a"]})
        assert caught.value.message_dict == {
            "settings": [
                "OPENS: 'soon' is not a date such as 2026-05-17.",
                "ITEMS: It is more than 9.",
            ]
        }

    def test_a_name_that_is_not_declared_is_refused_with_the_one_that_is_meant(self):
        with pytest.raises(ValidationError, match=r"ITEM is not declared.*Did you mean ITEMS"):
            clean_settings({"ITEM": 5}, {})
        with pytest.raises(ValidationError, match="ZZZZ is not declared"):
            clean_settings({"ZZZZ": 5}, {"YYYY": 5})

    @pytest.mark.parametrize("stored", [{"GONE": 5}, {"ITEMS": 10}, {"OPENS": ["x"], "X": None}])
    def test_what_is_stored_already_is_never_lost(self, stored):
        kept = {name: value for name, value in stored.items() if value is not None}
        assert clean_settings(stored, stored) == kept
        assert clean_settings(stored | {"WORDS": ["a"]}, stored) == kept | {"WORDS": ["a"]}

    def test_another_value_for_what_is_stored_must_be_a_good_one(self):
        with pytest.raises(ValidationError, match="more than 9"):
            clean_settings({"ITEMS": 11}, {"ITEMS": 10})
        with pytest.raises(ValidationError, match="whole number"):
            clean_settings({"ITEMS": True}, {"ITEMS": 1})
        with pytest.raises(ValidationError, match="GONE is not declared"):
            clean_settings({"GONE": 6}, {"GONE": 5})

    def test_all_of_a_site_together_must_not_be_too_large(self):
        large, small = {"WORDS": ["é" * 16_000] * 2}, {"WORDS": ["é"]}
        assert clean_settings(large) == large, "64 KB of UTF-8, however JSON writes it"
        with pytest.raises(ValidationError, match=r"may have 64 KB of JSON; these have 94"):
            clean_settings({"WORDS": ["é" * 16_000] * 3})
        stored = {"GONE": "x" * 70_000, "ITEMS": 1}
        assert clean_settings(stored, stored) == stored, "to suspend a site always works"
        assert clean_settings({"GONE": "x" * 70_000}, stored) == {"GONE": "x" * 70_000}
        with pytest.raises(ValidationError, match="may have 64 KB"):
            clean_settings(stored | small, stored)

    @pytest.mark.parametrize("values", [None, [], "x", 5])
    def test_only_a_dictionary_will_do(self, values):
        with pytest.raises(ValidationError, match="Expected a dictionary"):
            clean_settings(values)

    def test_a_text_of_the_command_line_is_read_by_the_type(self):
        assert parse("OPENS", "2026-05-17") == date(2026, 5, 17)
        assert parse("WORDS", "a, b") == ["a", "b"]

    @pytest.mark.parametrize(
        ("name", "text", "reason"),
        [
            ("OPENS", "soon", "OPENS: 'soon' is not a date"),
            ("ITEMS", "10", "ITEMS: It is more than 9."),
            ("items", "5", "items is not declared in SITE_SETTINGS. Did you mean ITEMS?"),
            ("ZZZZ", "5", "ZZZZ is not declared in SITE_SETTINGS."),
        ],
    )
    def test_what_is_wrong_on_the_command_line_is_told(self, name, text, reason):
        with pytest.raises(ValidationError) as caught:
            parse(name, text)
        assert reason in caught.value.message_dict["settings"][0]
