"""German: every text that the package marks has one, and what is compiled is what is written."""

import ast
import re
from gettext import GNUTranslations
from pathlib import Path

import pytest
from django.test import Client, override_settings
from django.utils.translation import override
from django.utils.translation.template import templatize

import sitefleet
from sitefleet.states import State

PACKAGE = Path(sitefleet.__file__).parent
TEXTS = PACKAGE / "locale" / "de" / "LC_MESSAGES" / "django.po"
CONTEXT = "\x04"  # between a context and its text, as gettext has it
#: How many of the arguments are texts, and whether the first one is a context.
MARKS = {"_": (1, False), "gettext": (1, False), "ngettext": (2, False), "pgettext": (2, True)}
AGAIN = "Run makemessages and compilemessages, as CONTRIBUTING.md says."


def key(mark, arguments):
    count, has_context = MARKS[mark]
    texts = [ast.literal_eval(argument) for argument in arguments[:count]]
    return CONTEXT.join(texts) if has_context else texts[0]


def marks_of_python(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            mark = node.func.id.removesuffix("_lazy")
            if mark in MARKS:
                yield key(mark, node.args)


def marks_of_template(source):
    # What xgettext gets to read: calls, and X where there is anything else.
    for call in re.findall(r"\b[np]?gettext\(.*?\)(?= )", f"{templatize(source)} "):
        yield from marks_of_python(call)


@pytest.fixture(scope="module")
def marked():
    found = set()
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text()
        if "django.utils.translation" in source:
            found.update(marks_of_python(source))
    for path in PACKAGE.rglob("*.html"):
        found.update(marks_of_template(path.read_text()))
    return found


@pytest.fixture(scope="module")
def written():
    """The file that people edit: translations by text, those of a plural as a tuple."""
    found = {}
    for entry in TEXTS.read_text().split("\n\n")[1:]:
        lines = [line for line in entry.splitlines() if not line.startswith("#")]
        fields = dict.fromkeys(line.split()[0] for line in lines if line[0] != '"')
        name = ""
        for line in lines:
            name, text = line.split(" ", 1) if line[0] != '"' else (name, line)
            fields[name] = (fields[name] or "") + ast.literal_eval(text)
        context = fields["msgctxt"] + CONTEXT if "msgctxt" in fields else ""
        german = tuple(fields[name] for name in fields if name.startswith("msgstr"))
        found[context + fields["msgid"]] = german
    return found


def test_it_finds_what_is_marked_in_code_and_templates(marked):
    assert {"Site fleet", f"sitefleet{CONTEXT}mode", "There is no site here"} <= marked
    assert "%(count)d site is %(state)s now." in marked
    assert f"code of the language that these pages are in{CONTEXT}en" in marked
    assert "You asked for <code>%(host)s</code>, and no site goes by that name on this server." in (
        marked
    )


def test_every_marked_text_has_a_german_one_and_no_other_has(marked, written):
    assert (marked - written.keys(), written.keys() - marked) == (set(), set()), AGAIN
    assert all(all(german) for german in written.values())
    assert "fuzzy" not in TEXTS.read_text()


def test_words_that_other_apps_have_too_are_ours_alone(written):
    # Catalogues are one in Django: our word for a state would be that of anybody's address.
    assert [text for text in written if " " not in text and CONTEXT not in text] == []


def test_what_is_compiled_is_what_is_written(written):
    with TEXTS.with_suffix(".mo").open("rb") as file:
        catalog = GNUTranslations(file)._catalog
    compiled = {}
    for text, german in catalog.items():
        name, number = text if isinstance(text, tuple) else (text, 0)
        if name:
            compiled.setdefault(name, {})[number] = german
    assert {name: tuple(parts.values()) for name, parts in compiled.items()} == written, AGAIN


def test_what_is_filled_in_and_what_is_code_is_the_same_in_both(written):
    pattern = re.compile(r"%\(\w+\)[ds]|%[ds]|<[^>]+>|https?://\S+")
    for text, german in written.items():
        for part in german:
            assert sorted(set(pattern.findall(part))) == sorted(set(pattern.findall(text))), text


@pytest.mark.usefixtures("site")
@override_settings(LANGUAGE_CODE="de")
def test_pages_and_labels_are_in_german():
    page = Client().get("/", headers={"host": "unknown.example"}).content.decode()
    assert '<html lang="de">' in page
    assert "Hier gibt es keine Website" in page
    with override("de"):
        assert State.MAINTENANCE.label == "in Wartung"
