"""Requests: pages, errors, streams, the admin and forms, by WSGI and ASGI, each with its theme."""

import asyncio
import random
import re

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import connection
from django.http import Http404, StreamingHttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path

from sitefleet import override_site
from sitefleet.models import SiteConfig
from sitefleet.registry import set_state
from sitefleet.test import client_for
from tests.asgi import ask

HOSTS = ("one.example.org", "two.example.org")


def page(request):
    return render(request, "page.html")


def late(request):
    return TemplateResponse(request, "page.html")


def stream(request):
    return StreamingHttpResponse(render_to_string("page.html") for _ in range(3))


def missing(request):
    raise Http404


def fail(request):
    message = "on purpose"
    raise RuntimeError(message)


def form(request):
    return render(request, "form.html", {"form": Small()})


async def wander(request):
    """Render here and there: in the event loop, in tasks, in threads."""
    seen = [render_to_string("page.html")]

    async def look():
        await asyncio.sleep(random.random() / 500)  # noqa: S311 - a wait, no secret
        seen.append(render_to_string("page.html"))

    await asyncio.gather(look(), look())
    seen.append(await sync_to_async(render_to_string)("page.html"))
    seen.append(await sync_to_async(render_to_string, thread_sensitive=False)("page.html"))
    return TemplateResponse(request, "seen.html", {"seen": seen})


async def astream(request):
    async def body():
        for _ in range(3):
            yield render_to_string("page.html")
            await asyncio.sleep(0)

    return StreamingHttpResponse(body())


class URLconf:
    def __init__(self, urlpatterns):
        self.urlpatterns = urlpatterns


class Small(forms.Form):
    name = forms.CharField()


@pytest.fixture(autouse=True)
def _pages(settings, engine, write, sites):
    views = (page, late, stream, missing, fail, form, wander, astream)
    patterns = [path(f"{view.__name__}/", view) for view in views]
    settings.ROOT_URLCONF = URLconf([*patterns, path("admin/", admin.site.urls)])
    write("templates/page.html", "shared.")
    write("templates/seen.html", "{{ seen|join:'' }}")
    write("themes/red/templates/page.html", "red.")
    write("themes/blue/templates/page.html", "blue.")


@pytest.fixture
def jar():
    return Client(raise_request_exception=False)


def body(response):
    return b"".join(response).decode()


@pytest.mark.parametrize("name", ["page", "late"])
def test_pages_have_the_theme_of_their_host(jar, name):
    for _ in range(2):
        seen = [body(jar.get(f"/{name}/", headers={"host": host})) for host in HOSTS]
        assert seen == ["red.", "blue."]
        assert body(jar.get(f"/de/{name}/", headers={"host": HOSTS[0]})) == "shared."
    assert render_to_string("page.html") == "shared."


def test_two_streams_that_take_turns_keep_their_themes(jar):
    one, two = (iter(jar.get("/stream/", headers={"host": host})) for host in HOSTS)
    assert list(zip(one, two, strict=True)) == [(b"red.", b"blue.")] * 3


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")
def test_under_asgi_bodies_are_produced_with_their_theme():
    for host, expected in zip(HOSTS, ("red.", "blue."), strict=True):
        for name in ("stream", "astream"):
            assert async_to_sync(ask)(host, f"/{name}/").body.decode() == expected * 3


@pytest.mark.parametrize("name", ["wander", "page", "astream"])
def test_twenty_requests_at_once_have_two_themes_and_mix_none_up(name):
    async def ask_all():
        return await asyncio.gather(*[ask(HOSTS[n % 2], f"/{name}/") for n in range(20)])

    for _ in range(3):
        answers = async_to_sync(ask_all)()
        texts = [answer.body.decode() for answer in answers]
        assert all(set(text.split(".")) == {"red", ""} for text in texts[::2])
        assert all(set(text.split(".")) == {"blue", ""} for text in texts[1::2])


def test_templates_cost_a_request_no_query(jar, sites, write):
    includes = "".join(f'{{% include "part{n}.html" %}}' for n in range(20))
    write("themes/red/templates/page.html", includes)
    for number in range(20):
        write(f"{'themes/red/' if number % 2 else ''}templates/part{number}.html", f"{number} ")
    jar.get("/page/", headers={"host": HOSTS[0]})
    with CaptureQueriesContext(connection) as queries:
        response = jar.get("/page/", headers={"host": HOSTS[0]})
    assert body(response).split() == [str(number) for number in range(20)]
    assert not queries.captured_queries


@pytest.mark.parametrize(("name", "status"), [("missing", 404), ("fail", 500), ("nothing", 404)])
def test_error_pages_have_the_theme_of_their_host(jar, write, name, status):
    write(f"themes/red/templates/{status}.html", "red error")
    write(f"templates/{status}.html", "shared error")
    for host, expected in zip(HOSTS, ("red error", "shared error"), strict=True):
        response = jar.get(f"/{name}/", headers={"host": host})
        assert (response.status_code, body(response)) == (status, expected)
        answer = async_to_sync(ask)(host, f"/{name}/") if name == "nothing" else None
        assert answer is None or answer.body.decode() == expected


def test_a_broken_template_of_a_theme_is_an_error_on_its_site_only(jar, write):
    write("themes/red/templates/page.html", "{% nonsense %}")
    assert [jar.get("/page/", headers={"host": host}).status_code for host in HOSTS] == [500, 200]


def test_the_admin_has_the_theme_of_its_host(sites, write):
    write(
        "themes/red/templates/admin/base_site.html",
        '{% extends "admin/base_site.html" %}{% block branding %}red admin{% endblock %}',
    )
    anna, texts = get_user_model().objects.create_superuser("anna"), []
    for site in sites[:2]:
        client = client_for(site)
        with override_site(site):
            client.force_login(anna)
        texts.append(body(client.get("/admin/")))
    assert ["red admin" in text for text in texts] == [True, False]
    assert all("Recent actions" in text for text in texts)


def test_forms_have_the_theme_of_their_host_with_the_renderer_of_the_templates(
    jar, settings, write
):
    settings.FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django.forms"]
    write("templates/form.html", "{{ form }}")
    write("themes/red/templates/django/forms/widgets/text.html", "red field")
    for _ in range(2):
        texts = [body(jar.get("/form/", headers={"host": host})) for host in HOSTS]
        assert ["red field" in text for text in texts] == [True, False]
        assert re.search("<input", texts[1])


def test_our_own_pages_have_the_theme_of_their_site(jar, sites, write):
    write("templates/sitefleet/maintenance.html", "shared maintenance")
    write("themes/red/templates/sitefleet/maintenance.html", "red maintenance")
    set_state(sites[0], "maintenance")
    response = jar.get("/page/", headers={"host": HOSTS[0]})
    assert (response.status_code, body(response)) == (503, "red maintenance")


def test_a_request_on_a_site_that_is_deleted_meanwhile_still_has_pages(jar, sites, settings):
    def delete(request):
        SiteConfig.objects.filter(site=request.site).delete()
        sites[0].delete()
        return render(request, "page.html")

    settings.ROOT_URLCONF = URLconf([path("delete/", delete)])
    assert body(jar.get("/delete/", headers={"host": HOSTS[0]})) == "red."


def test_a_view_may_render_for_another_site(jar, sites, settings):
    def both(request):
        with override_site(sites[1]):
            other = render_to_string("page.html")
        return render(request, "seen.html", {"seen": [other, render_to_string("page.html")]})

    settings.ROOT_URLCONF = URLconf([path("both/", both)])
    assert body(jar.get("/both/", headers={"host": HOSTS[0]})) == "blue.red."
