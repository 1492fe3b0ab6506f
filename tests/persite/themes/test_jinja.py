"""Jinja2: the current site's theme, in front of the shared templates, caches kept apart."""

import asyncio
import os
from contextlib import nullcontext

import jinja2
import pytest
from asgiref.sync import async_to_sync
from django.template import TemplateDoesNotExist, TemplateSyntaxError, engines
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.autoreload import file_changed

from sitefleet import get_current_site, override_site
from sitefleet.registry import configure_site

JINJA = "sitefleet.persite.templates.jinja2.Jinja2"


def environment(**options):
    """As people write it: a function that `OPTIONS["environment"]` names."""
    made = Relative(**options)
    made.globals["static"] = static
    made.filters["shout"] = lambda text: f"{text}!"
    return made


class Relative(jinja2.Environment):
    """Names with a dot in front are relative to who asks, as `join_path` is there for."""

    def join_path(self, template, parent):
        if template.startswith("./"):
            return os.path.normpath(f"{os.path.dirname(parent)}/{template}")  # noqa: PTH120
        return template


class Loader(jinja2.BaseLoader):
    """A loader of people's own, which has no files."""

    pages = {"page.html": "own", "base.html": "own [{% block a %}{% endblock %}]"}

    def get_source(self, environment, template):
        if template not in self.pages:
            raise jinja2.TemplateNotFound(template)
        return self.pages[template], None, None


@pytest.fixture(autouse=True)
def options(settings, theme_dirs, tmp_path):
    """OPTIONS of the engine; to be changed ahead of the first page."""
    options = {"environment": f"{__name__}.environment"}
    settings.TEMPLATES = [
        {
            "BACKEND": JINJA,
            "DIRS": [tmp_path / "jinja2"],
            "APP_DIRS": False,
            "OPTIONS": options,
        }
    ]
    return options


@pytest.fixture
def pages(write, sites):
    write("jinja2/page.html", "shared")
    write("themes/red/jinja2/page.html", "red")
    write("themes/blue/jinja2/page.html", "blue")
    return sites


def under(site, name="page.html", **context):
    with override_site(site) if site else nullcontext():
        return render_to_string(name, context)


def all_under(sites, name="page.html", **context):
    return [under(site, name, **context) for site in (*sites, None)]


# --- attack 15: the cache of templates --------------------------------------------


def test_the_cache_of_jinja_never_shows_the_template_of_one_site_on_another(pages):
    assert [all_under(pages) for _ in range(3)] == [["red", "blue", "shared", "shared"]] * 3
    with override_site(pages[0]):
        get = engines["jinja2"].get_template
        assert get("page.html").template is get("page.html").template


def test_what_is_missing_for_one_theme_is_not_missing_for_another(sites, write):
    write("themes/blue/jinja2/own.html", "blue")
    for _ in range(2):
        with pytest.raises(TemplateDoesNotExist, match=r"own\.html"):
            under(sites[0], "own.html")
        assert under(sites[1], "own.html") == "blue"


def test_includes_imports_and_macros_are_those_of_the_theme(sites, write):
    write(
        "jinja2/page.html",
        '{% import "m.html" as m %}{% from "m.html" import name %}{% extends "base.html" %}'
        "{% block a %}{{ m.name() }} {{ name() }}{% endblock %}",
    )
    write("jinja2/base.html", '{% block a %}{% endblock %} {% include ["x.html", "nav.html"] %}')
    write("jinja2/nav.html", "nav")
    write("jinja2/m.html", "{% macro name() %}shared{% endmacro %}")
    write("themes/red/jinja2/m.html", "{% macro name() %}red{% endmacro %}")
    write("themes/red/jinja2/nav.html", "red nav")
    write("themes/blue/jinja2/x.html", "blue x")
    for _ in range(3):
        assert all_under(sites) == [
            "red red red nav",
            "shared shared blue x",
            "shared shared nav",
            "shared shared nav",
        ]


def test_twenty_tasks_render_two_themes_and_mix_none_up(pages, options):
    async def render(site):
        texts = []
        with override_site(site):
            for _ in range(5):
                texts.append(render_to_string("page.html"))
                await asyncio.sleep(0)
        return set(texts)

    async def all_at_once():
        return await asyncio.gather(*[render(pages[n % 2]) for n in range(20)])

    for site in pages:
        under(site)
    assert async_to_sync(all_at_once)() == [{"red"}, {"blue"}] * 10


# --- extends of the same name ------------------------------------------------------


@pytest.mark.parametrize(
    "extends",
    [
        '{% extends "a/base.html" %}',
        "{%- extends 'a/base.html' -%}",
        '{% extends "./base.html" %}',
        "{% extends here %}",
        '{% extends "none.html" if nothing else here %}',
        "{% set base = here %}{% extends base %}",
        "{% if true %}{% extends here %}{% endif %}",
        "{# {% extends no %} #}{% raw %}{% extends no %}{% endraw %}{% extends here|lower %}",
    ],
)
def test_extends_of_its_own_name_means_the_shared_template(sites, write, extends):
    write("jinja2/a/base.html", "shared [{% block a %}a{% endblock %}] {% include 'nav.html' %}")
    write("jinja2/nav.html", "nav")
    write("themes/red/jinja2/nav.html", "red nav")
    write("themes/red/jinja2/a/base.html", extends + "{% block a %}red {{ super() }}{% endblock %}")
    context = {"here": "a/base.html"}
    for _ in range(2):
        assert under(sites[0], "a/base.html", **context).endswith("shared [red a] red nav")
        assert under(sites[1], "a/base.html", **context) == "shared [a] nav"


def test_a_shared_page_goes_through_the_base_of_the_theme_to_the_shared_one(sites, write):
    write(
        "jinja2/page.html", '{% extends "base.html" %}{% block a %}page{{ super() }}{% endblock %}'
    )
    write("jinja2/base.html", "shared [{% block a %}a{% endblock %}]")
    write(
        "themes/red/jinja2/base.html",
        '{% extends "base.html" %}{% block a %} red {{ super() }}{% endblock %}',
    )
    assert all_under(sites)[:2] == ["shared [page red a]", "shared [pagea]"]


def test_extends_of_its_own_name_passes_two_directories_of_one_theme(sites, write):
    extended = '{{% extends "page.html" %}}{{% block a %}}{}{{{{ super() }}}}{{% endblock %}}'
    write("themes/red/jinja2/page.html", extended.format("1"))
    write("more_themes/red/jinja2/page.html", extended.format("2"))
    write("jinja2/page.html", "{% block a %}shared{% endblock %}")
    assert [under(sites[0]), under(sites[1])] * 2 == ["12shared", "shared"] * 2


def test_extends_of_another_name_is_left_alone(sites, write):
    write("themes/red/jinja2/page.html", '{% extends "base.html" %}{% block a %}x{% endblock %}')
    write("themes/red/jinja2/base.html", "red [{% block a %}{% endblock %}]")
    write("jinja2/base.html", "shared [{% block a %}{% endblock %}]")
    assert under(sites[0]) == "red [x]"


def test_extends_takes_a_template_object_too(sites, write):
    write("themes/red/jinja2/page.html", "{% extends base %}{% block a %}x{% endblock %}")
    write("jinja2/base.html", "shared [{% block a %}{% endblock %}]")
    with override_site(sites[0]):
        base = engines["jinja2"].env.get_template("base.html")
    assert under(sites[0], base=base) == "shared [x]"


def test_a_parent_that_is_nowhere_is_named_as_it_was_written(sites, write):
    write("themes/red/jinja2/page.html", '{% extends "page.html" %}')
    with pytest.raises(jinja2.TemplateNotFound) as error:
        under(sites[0])
    assert error.value.name == "page.html"


def test_a_template_may_include_itself(sites, write):
    tree = "{{ n }}{% set n = n - 1 %}{% if n %}{% include 'tree.html' %}{% endif %}"
    write("themes/red/jinja2/tree.html", f"red {tree}")
    write("jinja2/tree.html", tree)
    assert under(sites[0], "tree.html", n=3) == "red 3red 2red 1"
    assert under(sites[1], "tree.html", n=3) == "321"


def test_line_statements_extend_too(sites, write, options):
    options["line_statement_prefix"] = "%%"
    write("jinja2/page.html", "shared [{% block a %}a{% endblock %}]")
    write(
        "themes/red/jinja2/page.html",
        '%% extends "page.html"\n%% block a\nred {{ super() }}\n%% endblock\n',
    )
    assert under(sites[0]).replace("\n", "") == "shared [red a]"


# --- the environment of the project -------------------------------------------------


def test_the_environment_of_the_project_is_that_of_all_themes(sites, write, settings):
    settings.STATIC_URL = "/s/"
    write("jinja2/page.html", "{{ 'shared'|shout }} {{ static('a.css') }} {{ later }}")
    write("themes/red/jinja2/page.html", "{{ 'red'|shout }} {{ static('a.css') }} {{ later }}")
    assert all_under(sites)[:2] == ["red! /s/a.css ", "shared! /s/a.css "]
    engines["jinja2"].env.globals["later"] = "later"
    assert all_under(sites)[:2] == ["red! /s/a.css later", "shared! /s/a.css later"]
    with override_site(sites[0]):
        assert isinstance(engines["jinja2"].env, Relative)
        assert engines["jinja2"].from_string("{{ 'x'|shout }}").render() == "x!"


def test_a_loader_of_the_project_comes_behind_the_theme(sites, write, options):
    options["loader"] = Loader()
    write("themes/red/jinja2/page.html", "red")
    write("themes/red/jinja2/base.html", '{% extends "base.html" %}{% block a %}red{% endblock %}')
    for _ in range(2):
        assert all_under(sites) == ["red", "own", "own", "own"]
        assert all_under(sites, "base.html")[:2] == ["own [red]", "own []"]


def test_templates_that_were_compiled_ahead_come_behind_the_theme(sites, write, options, tmp_path):
    write("jinja2/page.html", "shared")
    write("jinja2/base.html", "shared [{% block a %}{% endblock %}]")
    compiler = jinja2.Environment(  # noqa: S701 - no markup here
        loader=jinja2.FileSystemLoader(tmp_path / "jinja2")
    )
    compiler.compile_templates(tmp_path / "compiled", zip=None)
    options["loader"] = jinja2.ModuleLoader(tmp_path / "compiled")
    write("themes/red/jinja2/page.html", "red")
    write("themes/red/jinja2/base.html", '{% extends "base.html" %}{% block a %}red{% endblock %}')
    assert all_under(sites) == ["red", "shared", "shared", "shared"]
    assert all_under(sites, "base.html")[:2] == ["shared [red]", "shared []"]


def test_an_environment_without_a_loader_has_the_templates_of_themes(sites, write, options):
    options["loader"] = None
    write("themes/red/jinja2/page.html", "red")
    assert under(sites[0]) == "red"
    with pytest.raises(TemplateDoesNotExist):
        under(sites[0], "none.html")


def test_extensions_and_async_stay(sites, write, options):
    options |= {"extensions": ["jinja2.ext.do", "jinja2.ext.i18n"], "enable_async": True}
    write("jinja2/page.html", "{% do [].append(1) %}shared [{% block a %}{% endblock %}]")
    write(
        "themes/red/jinja2/page.html",
        '{% extends "page.html" %}{% block a %}{% trans %}red{% endtrans %}{% endblock %}',
    )

    async def render(site):
        with override_site(site):
            template = engines["jinja2"].env.get_template("page.html")
            return await template.render_async(gettext=str)

    for site in sites:
        with override_site(site):
            engines["jinja2"].env.install_null_translations()
    assert under(sites[1]) == "shared []"
    assert async_to_sync(render)(sites[0]) == "shared [red]"


def test_bytecode_that_is_kept_is_not_mixed_up(pages, write, options, tmp_path, settings):
    write("themes/red/jinja2/base.html", '{% extends "base.html" %}{% block a %}red{% endblock %}')
    write("jinja2/base.html", "shared [{% block a %}{% endblock %}]")
    (tmp_path / "bytecode").mkdir()
    for _ in range(3):
        options["bytecode_cache"] = jinja2.FileSystemBytecodeCache(str(tmp_path / "bytecode"))
        settings.TEMPLATES = list(settings.TEMPLATES)  # as in another process
        assert all_under(pages) == ["red", "blue", "shared", "shared"]
        assert all_under(pages, "base.html")[:2] == ["shared [red]", "shared []"]
    # What is shared was compiled once for all themes.
    assert len(list((tmp_path / "bytecode").iterdir())) == 5


def test_sandboxes_stay_sandboxes(sites, write, options):
    options["environment"] = "jinja2.sandbox.SandboxedEnvironment"
    write("themes/red/jinja2/page.html", "{{ ''.__class__.__mro__ }}")
    with override_site(sites[0]), pytest.raises(jinja2.exceptions.SecurityError):
        engines["jinja2"].env.get_template("page.html").render()


def test_templates_of_apps_come_behind_the_theme(sites, write, settings):
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "APP_DIRS": True}]
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django.forms"]
    write("themes/red/jinja2/django/forms/widgets/text.html", "red field")
    name, widget = "django/forms/widgets/text.html", {"type": "text", "name": "x", "attrs": {}}
    assert under(sites[0], name, widget=widget) == "red field"
    assert under(sites[1], name, widget=widget).startswith("<input")


def name_of_site():
    return get_current_site().name


@pytest.mark.parametrize(
    "page",
    [
        "{% from 'nav.html' import nav %}{{ nav() }}",
        "{% import 'nav.html' as menu %}{{ menu.nav() }}",
        "{% include 'told.html' without context %}",
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
def test_what_an_imported_template_has_set_is_nothing_to_another_site(
    fleet, write, options, page, is_async
):
    options["enable_async"] = is_async
    write("jinja2/page.html", f"{{% set own = 1 %}}{page}")
    write("jinja2/told.html", "{{ current() }}")
    write(
        "jinja2/nav.html",
        "{% set name = current() %}{% macro nav() %}{{ name }}{{ further }}{% endmacro %}",
    )
    engines["jinja2"].shared.globals["current"] = name_of_site
    for site in (*fleet, *fleet):
        with override_site(site):
            assert engines["jinja2"].env.get_template("page.html").render() == site.name


@pytest.mark.parametrize("is_async", [False, True])
def test_an_imported_template_has_the_globals_of_the_one_that_imports_it(
    sites, write, options, is_async
):
    options["enable_async"] = is_async
    write("jinja2/page.html", "{% from 'nav.html' import nav %}{{ nav() }}")
    write("jinja2/nav.html", "{% macro nav() %}{{ further }}{% endmacro %}")
    for site in sites:
        with override_site(site):
            page = engines["jinja2"].env.get_template("page.html", globals={"further": "seen"})
            assert page.render() == "seen"


def test_a_template_class_of_the_project_stays_what_it_is(sites, write, options):
    write("jinja2/page.html", "{{ 1 }}")
    options["environment"] = "jinja2.nativetypes.NativeEnvironment"
    for site in sites:
        with override_site(site):
            assert engines["jinja2"].env.get_template("page.html").render() == 1


# --- what is missing, broken, edited -----------------------------------------------


def test_a_missing_theme_shows_the_shared_templates(pages):
    configure_site(pages[0], theme="gone")
    assert under(pages[0]) == "shared"


def test_template_names_do_not_leave_the_folder_of_a_theme(pages, write):
    write("themes/secret.html", "secret")
    for name in (
        "../../secret.html",
        "/../../secret.html",
        "1::../themes/secret.html",
        "9::page.html",
        "x::page.html",
    ):
        with pytest.raises(TemplateDoesNotExist):
            under(pages[0], name)


def test_a_broken_template_of_a_theme_is_told_with_its_file_and_line(pages, write):
    path = write("themes/red/jinja2/page.html", '{% extends "page.html" %}\n{% nonsense %}')
    with pytest.raises(TemplateSyntaxError) as error:
        under(pages[0])
    assert error.value.template_debug["name"] == str(path)
    assert error.value.template_debug["line"] == 2
    assert under(pages[1]) == "blue"


def test_a_template_that_is_added_to_a_theme_is_seen_under_runserver(pages, write):
    write("jinja2/new.html", "shared")
    assert under(pages[0], "new.html") == "shared"
    path = write("themes/red/jinja2/new.html", "red")
    [result] = [
        result
        for receiver, result in file_changed.send(sender=None, file_path=path)
        if receiver.__module__.startswith("sitefleet")
    ]
    assert result
    assert under(pages[0], "new.html") == "red"


def test_an_edited_template_is_seen_by_jinja_itself(pages, write, options):
    options["auto_reload"] = True
    assert under(pages[0]) == "red"
    path = write("themes/red/jinja2/page.html", "new red")
    os.utime(path, (2_000_000_000, 2_000_000_000))
    assert under(pages[0]) == "new red"
