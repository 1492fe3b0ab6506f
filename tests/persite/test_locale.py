"""Each site answers in its language and its time zone, and leaves neither behind."""

import asyncio
import struct
from datetime import UTC, datetime

import pytest
from asgiref.sync import SyncToAsync, sync_to_async
from django.conf import settings
from django.conf.urls.i18n import i18n_patterns
from django.core import checks
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path, reverse
from django.utils import timezone, translation
from django.utils.translation import gettext, gettext_lazy, trans_real

from sitefleet.current import get_current_site_id, override_site
from sitefleet.lookup import get_site
from sitefleet.models import SiteConfig
from sitefleet.persite.locale import site_locale
from sitefleet.registry import add_site, configure_site, set_state
from sitefleet.test import client_for
from tests.asgi import ask

FIRST = "sitefleet.middleware.SiteMiddleware"
SECOND = "sitefleet.persite.locale.SiteLocaleMiddleware"
VISITOR = "django.middleware.locale.LocaleMiddleware"
FLEET = {"FRESHNESS": 0.0, "SITE_SETTINGS": {"LANGUAGE_CODE": {}, "TIME_ZONE": {}}}
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOSTS = {"de": "de.example.org", "gh": "gh.example.org", "plain": "plain.example.org"}
#: Language, a word in it, noon of London there.
WANTED = {
    "de": ["de", "Montag", "14:00"],
    "gh": ["fr", "lundi", "12:00"],
    "plain": ["en", "Monday", "17:30"],
}


def report():
    return [translation.get_language(), gettext("Monday"), f"{timezone.localtime(NOON):%H:%M}"]


def page(request):
    return JsonResponse({"seen": report(), "request": request.LANGUAGE_CODE})


async def async_page(request):
    seen = [report()]
    await asyncio.sleep(0)
    seen.append(report())
    seen += await asyncio.gather(*(later() for _ in range(2)))
    seen.append(await sync_to_async(report)())
    return JsonResponse({"seen": seen, "request": request.LANGUAGE_CODE})


async def later():
    await asyncio.sleep(0)
    return report()


def stream(request):
    lazy = gettext_lazy("Monday")
    return StreamingHttpResponse(f"{lazy} {report()}\n" for _ in range(3))


async def async_stream(request):
    lazy = gettext_lazy("Monday")

    async def body():
        for _ in range(3):
            yield f"{lazy} {report()}\n"
            await asyncio.sleep(0)

    return StreamingHttpResponse(body())


def changing_stream(request):
    def body():
        yield gettext("Monday")
        translation.activate("pt")
        yield from (gettext("Monday") for _ in range(2))

    return StreamingHttpResponse(body())


def fail(request):
    message = "on purpose"
    raise RuntimeError(message)


def switch(request):
    """Do what some views do: change the language, and leave it."""
    code = request.GET["to"]
    translation.activate(code) if code else translation.deactivate_all()
    timezone.activate("Asia/Tokyo")
    return HttpResponse("switched")


PATTERNS = [
    path("page/", page, name="page"),
    path("async/", async_page),
    path("stream/", stream),
    path("async-stream/", async_stream),
    path("changing-stream/", changing_stream),
    path("fail/", fail),
    path("switch/", switch),
]


class Urls:
    urlpatterns = PATTERNS


class Prefixed:
    urlpatterns = i18n_patterns(*PATTERNS)


class BareDefault:
    urlpatterns = i18n_patterns(*PATTERNS, prefix_default_language=False)


@pytest.fixture(autouse=True)
def declared(clean_process):
    with override_settings(
        SITEFLEET=FLEET,
        MIDDLEWARE=[FIRST, SECOND],
        ROOT_URLCONF=Urls,
        LANGUAGE_CODE="en",
        TIME_ZONE="Asia/Kolkata",
    ):
        timezone.deactivate()
        yield
    assert active() == (None, None), "a language or a time zone was left over"
    timezone.get_default_timezone.cache_clear()


@pytest.fixture
def sites(db):
    found = {slug: add_site(slug, domain=host) for slug, host in HOSTS.items()}
    configure_site(found["de"], settings={"LANGUAGE_CODE": "de", "TIME_ZONE": "Europe/Berlin"})
    configure_site(found["gh"], settings={"LANGUAGE_CODE": "fr", "TIME_ZONE": "Africa/Accra"})
    return found


def active():
    return getattr(trans_real._active, "value", None), getattr(timezone._active, "value", None)


# --- requests ----------------------------------------------------------------


@pytest.mark.parametrize("order", [["de", "gh", "de", "plain"], ["plain", "de", "gh", "plain"]])
def test_each_site_answers_in_its_own(sites, order):
    for slug in order:
        response = client_for(sites[slug]).get("/page/")
        assert response.json() == {"seen": WANTED[slug], "request": WANTED[slug][0]}
        assert response["Content-Language"] == WANTED[slug][0]
        assert active() == (None, None)


@pytest.fixture
def asgi_sites(transactional_db, sites):
    return {slug: get_site(slug) for slug in sites}  # as they are configured now


async def test_each_site_answers_in_its_own_on_an_event_loop(asgi_sites):
    order = ["de", "gh", "plain"] * 10
    answers = await asyncio.gather(*(ask(HOSTS[slug], "/async/") for slug in order))
    for slug, answer in zip(order, answers, strict=True):
        assert answer.json() == {"seen": [WANTED[slug]] * 5, "request": WANTED[slug][0]}
        assert answer["Content-Language"] == WANTED[slug][0]
    assert active() == (None, None)


async def test_an_event_loop_waits_for_no_thread_because_of_it(asgi_sites, monkeypatch):
    hops = []
    original = SyncToAsync.__call__
    monkeypatch.setattr(
        SyncToAsync, "__call__", lambda *args, **kwargs: hops.append(1) or original(*args, **kwargs)
    )

    async def count():
        await ask(HOSTS["de"], "/async/")
        hops.clear()
        await ask(HOSTS["de"], "/async/")
        return len(hops)

    with_it = await count()
    with override_settings(MIDDLEWARE=[FIRST, f"{__name__}.nothing"]):
        assert with_it == await count()


def nothing(get_response):
    async def middleware(request):
        request.LANGUAGE_CODE = "-"
        return await get_response(request)

    return middleware


nothing.async_capable, nothing.sync_capable = True, False


def test_bodies_that_come_later_are_in_the_language_that_they_were_begun_in(sites):
    bodies = [client_for(sites[slug]).get("/stream/").streaming_content for slug in WANTED]
    with translation.override("pt"), timezone.override("Asia/Tokyo"):
        for chunks in zip(*bodies, strict=True):
            for slug, chunk in zip(WANTED, chunks, strict=True):
                assert chunk.decode() == f"{WANTED[slug][1]} {WANTED[slug]}\n"
            assert report()[0] == "pt"
            assert timezone.get_current_timezone_name() == "Asia/Tokyo"


async def test_bodies_of_event_loops_too(asgi_sites):
    answers = await asyncio.gather(*(ask(HOSTS[slug], "/async-stream/") for slug in WANTED))
    for slug, answer in zip(WANTED, answers, strict=True):
        assert answer.body.decode() == f"{WANTED[slug][1]} {WANTED[slug]}\n" * 3


def test_a_body_may_change_the_language_of_the_rest_of_it(sites):
    bodies = [client_for(sites[slug]).get("/changing-stream/") for slug in ("de", "gh")]
    chunks = list(zip(*(body.streaming_content for body in bodies), strict=True))
    pt = b"Segunda-feira"
    assert chunks == [(b"Montag", b"lundi"), (pt, pt), (pt, pt)]


def test_what_was_active_before_is_active_again(sites):
    with translation.override("pt"), timezone.override("Asia/Tokyo"):
        before = active()
        client_for(sites["de"]).get("/page/")
        assert active() == before
        with pytest.raises(RuntimeError):
            client_for(sites["de"]).get("/fail/")
        assert active() == before
        client_for(sites["de"]).get("/switch/?to=fr")
        assert active() == before


@pytest.mark.parametrize(("code", "told"), [("fr", "fr"), ("", None)])
def test_a_view_may_change_the_language_of_its_answer_and_of_nothing_else(sites, code, told):
    response = client_for(sites["de"]).get(f"/switch/?to={code}")
    assert response.headers.get("Content-Language") == told
    assert active() == (None, None)


def test_a_change_is_seen_by_the_next_request(sites):
    client = client_for(sites["de"])
    client.get("/page/")
    configure_site(sites["de"], settings={"LANGUAGE_CODE": "pt", "TIME_ZONE": None})
    assert client.get("/page/").json()["seen"] == ["pt", "Segunda-feira", "17:30"]


def test_only_what_is_declared_is_touched(sites):
    for name, seen in (("LANGUAGE_CODE", ["de", "Montag", "17:30"]), ("TIME_ZONE", None)):
        declared = {"SITE_SETTINGS": {name: {}}}
        with override_settings(SITEFLEET=declared, MIDDLEWARE=[FIRST, SECOND, VISITOR]):
            response = client_for(sites["de"]).get("/page/", headers={"accept-language": "pt"})
            wanted = seen or ["pt", "Segunda-feira", "14:00"]
            assert response.json()["seen"] == (["pt", "Segunda-feira", "17:30"] if seen else wanted)
        translation.deactivate()


def test_where_nothing_is_declared_it_does_nothing(sites):
    with override_settings(SITEFLEET={}, MIDDLEWARE=[FIRST, SECOND, VISITOR]):
        response = client_for(sites["de"]).get("/page/", headers={"accept-language": "pt"})
    assert response.json()["seen"] == ["pt", "Segunda-feira", "17:30"]
    translation.deactivate()


def test_a_language_that_has_no_texts_of_its_own_uses_those_of_its_parent(sites):
    languages = [("en", "English"), ("de", "Deutsch"), ("de-zz", "Fantasie")]
    with override_settings(LANGUAGES=languages):
        configure_site(sites["de"], settings={"LANGUAGE_CODE": "de-zz"})
        assert client_for(sites["de"]).get("/page/").json()["seen"][:2] == ["de-zz", "Montag"]


def test_a_language_that_has_no_texts_at_all_uses_those_of_the_project(sites):
    with override_settings(LANGUAGES=[("en", "English"), ("tlh", "Klingon")]):
        configure_site(sites["de"], settings={"LANGUAGE_CODE": "tlh"})
        assert client_for(sites["de"]).get("/page/").json()["seen"][:2] == ["tlh", "Monday"]


# --- the visitor's choice ----------------------------------------------------


@pytest.fixture
def visitors():
    with override_settings(MIDDLEWARE=[FIRST, SECOND, VISITOR]):
        yield


@pytest.mark.usefixtures("visitors")
class TestVisitors:
    def test_the_visitors_language_goes_before_the_sites(self, sites):
        for slug in WANTED:
            client = client_for(sites[slug])
            seen = client.get("/page/", headers={"accept-language": "pt;q=0.9,xx"}).json()
            assert seen == {"seen": ["pt", "Segunda-feira", WANTED[slug][2]], "request": "pt"}
            client.cookies["django_language"] = "it"
            response = client.get("/page/", headers={"accept-language": "pt"})
            assert response["Content-Language"] == "it"
            assert active() == (None, None)

    @pytest.mark.parametrize("accepted", ["", "xx", "*"])
    def test_a_visitor_without_one_gets_the_sites(self, sites, accepted):
        for slug in ("de", "plain", "gh", "de"):
            response = client_for(sites[slug]).get("/page/", headers={"accept-language": accepted})
            assert response.json() == {"seen": WANTED[slug], "request": WANTED[slug][0]}
            assert response["Content-Language"] == WANTED[slug][0]

    async def test_on_an_event_loop_too(self, asgi_sites):
        accept = [(b"accept-language", b"pt")]
        for slug, wanted in WANTED.items():
            answer = await ask(HOSTS[slug], "/async/", headers=accept)
            assert answer.json()["seen"] == [["pt", "Segunda-feira", wanted[2]]] * 5
            answer = await ask(HOSTS[slug], "/async/")
            assert answer.json()["seen"] == [wanted] * 5

    def test_addresses_with_a_prefix_lead_to_the_sites_language(self, sites):
        with override_settings(ROOT_URLCONF=Prefixed):
            for slug, (own, *_) in WANTED.items():
                client = client_for(sites[slug])
                assert client.get("/page/")["Location"] == f"/{own}/page/"
                assert client.get("/it/page/").json()["request"] == "it"


def test_addresses_with_a_prefix_are_those_of_the_sites_language_alone(sites):
    with override_settings(ROOT_URLCONF=Prefixed):
        for slug in ("de", "gh", "plain", "de"):
            own = WANTED[slug][0]
            client = client_for(sites[slug])
            for code in ("de", "fr", "en"):
                assert client.get(f"/{code}/page/").status_code == (200 if code == own else 404)
            assert client.get("/page/").status_code == 404


# --- outside of requests -----------------------------------------------------


def test_other_code_enters_the_language_of_a_site(sites):
    with override_site(sites["gh"]):
        outside = active()
        with site_locale(sites["de"]):
            assert report() == WANTED["de"]
            assert get_current_site_id() == sites["gh"].pk
            with site_locale():
                assert report() == WANTED["gh"]
            assert report() == WANTED["de"]
            with site_locale(sites["plain"].pk):
                assert report() == WANTED["plain"]
        assert active() == outside
    with site_locale():
        assert report() == WANTED["plain"]


def test_it_is_left_on_an_exception(sites):
    with pytest.raises(RuntimeError), site_locale(sites["de"]):
        fail(None)
    assert active() == (None, None)


def test_where_nothing_is_declared_nothing_is_entered(sites):
    with override_settings(SITEFLEET={}), translation.override("pt"), site_locale(sites["de"]):
        assert report() == ["pt", "Segunda-feira", "17:30"]


async def test_it_may_be_entered_in_an_event_loop(asgi_sites):
    async def one(slug):
        with site_locale(asgi_sites[slug]):
            await asyncio.sleep(0)
            return report()

    assert await asyncio.gather(*map(one, WANTED)) == list(WANTED.values())


# --- what Django keeps for good ----------------------------------------------


def test_the_default_time_zone_is_the_projects_whichever_site_comes_first(sites):
    for slug in ("de", "gh"):
        timezone.get_default_timezone.cache_clear()
        client_for(sites[slug]).get("/page/")
        assert str(timezone.get_default_timezone()) == "Asia/Kolkata"
        with override_site(sites[slug]):
            assert str(timezone.get_default_timezone()) == "Asia/Kolkata"
            assert settings.TIME_ZONE != "Asia/Kolkata"


def test_the_language_of_code_that_activates_none_is_the_projects(sites, monkeypatch):
    monkeypatch.setattr(trans_real, "_default", None)
    client_for(sites["de"]).get("/page/")
    assert trans_real._default.to_language() == "en"
    assert gettext("Monday") == "Monday"


def message_file(messages):
    """Return a compiled message file (the format is that of GNU gettext)."""
    texts = {"": "Content-Type: text/plain; charset=UTF-8\n"} | messages
    keys, values = [[text.encode() + b"\0" for text in sorted(texts)] for _ in range(2)]
    values = [texts[key[:-1].decode()].encode() + b"\0" for key in keys]
    start = 28 + 16 * len(keys)
    tables, blob = [], b""
    for column in (keys, values):
        for text in column:
            tables.append(struct.pack("II", len(text) - 1, start + len(blob)))
            blob += text
    header = struct.pack("7I", 0x950412DE, 0, len(keys), 28, 28 + 8 * len(keys), 0, 0)
    return header + b"".join(tables) + blob


@pytest.fixture
def german_only(tmp_path):
    """A text that exists in German, and in no other language."""
    folder = tmp_path / "de/LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.mo").write_bytes(message_file({"sitefleet test": "nur auf Deutsch"}))
    with override_settings(LOCALE_PATHS=[tmp_path]):
        yield


@pytest.mark.usefixtures("german_only", "visitors")
def test_texts_that_a_language_lacks_come_from_the_projects_whichever_site_comes_first(sites):
    def look(slug):
        client_for(sites[slug]).get("/page/", headers={"accept-language": "fr"})
        with translation.override("fr"):
            return gettext("sitefleet test")

    with override_site(sites["de"]), translation.override("fr"):
        # Django's rule: what French lacks comes from the LANGUAGE_CODE of now, and is kept.
        assert gettext("sitefleet test") == "nur auf Deutsch"
    assert look("plain") == "sitefleet test"
    assert look("de") == "sitefleet test"
    with site_locale(sites["de"]):
        assert gettext("sitefleet test") == "nur auf Deutsch"


@pytest.mark.usefixtures("german_only")
def test_a_site_that_comes_first_builds_its_language_as_any_other(sites):
    client_for(sites["gh"]).get("/page/")
    client_for(sites["de"]).get("/page/")
    for slug in ("gh", "plain"):
        with site_locale(sites[slug]):
            assert gettext("sitefleet test") == "sitefleet test"


# --- checks ------------------------------------------------------------------


def found(**options):
    ours = ("E344", "W345", "E346", "E347")
    messages = checks.run_checks(**options)
    return [message for message in messages if message.id[-4:] in ours]


def test_what_is_wired_well_is_not_reported(sites):
    assert found(databases=["default"]) == []


CACHE = "django.middleware.cache.UpdateCacheMiddleware"


@pytest.mark.parametrize(
    ("values", "mistake"),
    [
        ({"USE_TZ": False}, "E344"),
        ({"MIDDLEWARE": [FIRST]}, "W345"),
        ({"MIDDLEWARE": [SECOND, FIRST]}, "E346"),
        ({"MIDDLEWARE": [FIRST, VISITOR, SECOND]}, "E346"),
        ({"MIDDLEWARE": [FIRST, CACHE, SECOND]}, "E346"),
    ],
)
def test_what_is_wired_wrongly_is_reported_with_the_line_to_write(values, mistake):
    with override_settings(**values):
        (message,) = found()
    assert message.id == f"sitefleet.{mistake}"
    assert message.hint == "USE_TZ = True" or SECOND in message.hint


def test_without_declarations_nothing_is_reported():
    with override_settings(SITEFLEET={}, USE_TZ=False, MIDDLEWARE=[FIRST]):
        assert found() == []


def test_sites_of_several_languages_must_not_share_addresses_without_prefix(sites):
    with override_settings(ROOT_URLCONF=BareDefault):
        (message,) = found(databases=["default"])
        assert message.id == "sitefleet.E347"
        assert "de, en, fr" in message.msg
        assert "URLCONFS" in message.hint
        assert found() == []
        for slug in ("de", "gh"):
            configure_site(sites[slug], settings={"LANGUAGE_CODE": None})
        assert found(databases=["default"]) == []
        SiteConfig.objects.filter(slug="de").update(settings={"LANGUAGE_CODE": "xx"})
        SiteConfig.objects.filter(slug="gh").update(settings=[1])
        assert found(databases=["default"]) == []


def test_that_is_a_mistake_indeed(sites):
    with override_settings(ROOT_URLCONF=BareDefault):
        seen = []
        for slug in ("de", "plain"):
            with override_site(sites[slug]), translation.override("de"):
                seen.append(reverse("page"))
    assert seen == ["/page/", "/page/"]  # on the second site it is /de/page/


def test_a_site_in_maintenance_says_so_in_any_case(sites):
    set_state(sites["de"], "maintenance")
    assert client_for(sites["de"]).get("/page/").status_code == 503
