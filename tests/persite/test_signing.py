"""Row 12, and 7: what one site has signed, another refuses; unless that is what was asked for."""

import asyncio
import importlib
import sys
import threading

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.contrib import messages
from django.contrib.auth import get_user_model, update_session_auth_hash
from django.contrib.auth.tokens import default_token_generator
from django.contrib.messages import constants
from django.contrib.messages.storage.base import Message
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.contrib.sites.models import Site
from django.core import checks, mail, signing
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path
from django.utils.crypto import salted_hmac
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sitefleet import carry_site, override_site
from sitefleet.persite import signing as island
from sitefleet.persite.signing import BACKEND, SiteSigner, shared_signing, site_key
from sitefleet.test import client_for
from tests import urls
from tests.asgi import ask
from tests.persite.island_checks import run_checks_of

DJANGO = "django.core.signing.TimestampSigner"
PROJECT_KEY = "the key of the project, of which there is one"


@pytest.fixture(autouse=True)
def switched_on(settings):
    settings.SECRET_KEY = PROJECT_KEY
    settings.SIGNING_BACKEND = BACKEND


@pytest.fixture
def ada(db):
    return get_user_model().objects.create_user("ada", "ada@example.com", "secret")


# --- what is signed: how it is made, and whether it is accepted ------------------------------


def accepts(load, value):
    try:
        load(value)
    except signing.BadSignature:
        return False
    return True


class Dumps:
    def make(self):
        return signing.dumps({"a": 1})

    def accepts(self, value):
        return accepts(signing.loads, value)


class PlainSigner:
    def make(self):
        return signing.Signer().sign("a")

    def accepts(self, value):
        return accepts(signing.Signer().unsign, value)


class KeptSiteSigner:
    signer = None

    def make(self):
        type(self).signer = self.signer or SiteSigner(salt="kept")
        return self.signer.sign("a")

    def accepts(self, value):
        return accepts(self.signer.unsign, value)


class SignedCookie:
    def make(self):
        response = HttpResponse()
        response.set_signed_cookie("name", "value")
        return response.cookies["name"].value

    def accepts(self, value):
        request = RequestFactory(headers={"cookie": f"name={value}"}).get("/")
        return request.get_signed_cookie("name", None) == "value"


class Hmac:
    def make(self):
        return salted_hmac("salt", "value", algorithm="sha256").hexdigest()

    def accepts(self, value):
        return value == self.make()


class ResetToken:
    def user(self):
        return get_user_model().objects.get(username="ada")

    def make(self):
        return default_token_generator.make_token(self.user())

    def accepts(self, value):
        return default_token_generator.check_token(self.user(), value)


class MessageCookie:
    def make(self):
        storage = CookieStorage(RequestFactory().get("/"))
        return storage._encode([Message(constants.INFO, "hello")])

    def accepts(self, value):
        return bool(CookieStorage(RequestFactory().get("/"))._decode(value))


class SessionInACookie:
    def make(self):
        session = SessionStore()
        session["a"] = 1
        session.save()
        return session.session_key

    def accepts(self, value):
        return SessionStore(value).get("a") == 1


KINDS = [
    Dumps(),
    PlainSigner(),
    KeptSiteSigner(),
    SignedCookie(),
    Hmac(),
    ResetToken(),
    MessageCookie(),
    SessionInACookie(),
]
of_each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
of_each_django_kind = pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS if "SiteSigner" not in type(kind).__name__],
    ids=lambda kind: type(kind).__name__,
)


@of_each_kind
def test_what_one_site_has_signed_another_refuses(site, other_site, ada, kind):
    with override_site(site):
        signed = kind.make()
        assert kind.accepts(signed)
    with override_site(other_site):
        assert not kind.accepts(signed)
    with override_site(site):
        assert kind.accepts(signed)
    assert not kind.accepts(signed), "no site is not any site"


@of_each_django_kind
def test_without_the_switch_all_sites_are_one(site, other_site, ada, settings, kind):
    settings.SIGNING_BACKEND = DJANGO
    with override_site(site):
        signed = kind.make()
    with override_site(other_site):
        assert kind.accepts(signed)


@of_each_kind
def test_what_was_signed_before_the_switch_is_refused(site, ada, settings, kind):
    with shared_signing():
        signed = kind.make()
    with override_site(site):
        assert not kind.accepts(signed)


@of_each_kind
def test_what_is_shared_on_purpose_counts_everywhere_and_nothing_else_does(
    site, other_site, ada, kind
):
    with override_site(site):
        own = kind.make()
        with shared_signing():
            shared = kind.make()
        assert not kind.accepts(shared)
    with override_site(other_site), shared_signing():
        assert kind.accepts(shared)
        assert not kind.accepts(own)


@of_each_kind
def test_the_default_site_is_the_current_one_where_none_was_entered(
    site, other_site, ada, settings, kind
):
    settings.SITE_ID = site.pk
    signed = kind.make()
    with override_site(site):
        assert kind.accepts(signed)
    with override_site(other_site):
        assert not kind.accepts(signed)


@of_each_django_kind
def test_a_key_that_was_replaced_counts_as_long_as_it_is_a_fallback(site, other_site, ada, kind):
    with override_site(site):
        signed = kind.make()
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[PROJECT_KEY]):
        with override_site(site):
            if not isinstance(kind, Hmac):
                assert kind.accepts(signed)
        with override_site(other_site):
            assert not kind.accepts(signed)
    with override_settings(SECRET_KEY="new"), override_site(site):
        assert not kind.accepts(signed)


# --- the keys --------------------------------------------------------------------------------


@hypothesis_settings(max_examples=50, deadline=None)
@given(st.text(min_size=1) | st.binary(min_size=1), st.integers(1), st.integers(1))
def test_keys_differ_by_site_and_tell_nothing_of_each_other(key, one, two):
    with override_settings(SECRET_KEY=key, SECRET_KEY_FALLBACKS=[key, "older"]):
        with override_site(one):
            derived = django_settings.SECRET_KEY
            assert django_settings.SECRET_KEY_FALLBACKS[0] == derived
            assert type(derived) is type(key)
            assert len(derived) == 64
        with override_site(two):
            assert (derived == django_settings.SECRET_KEY) == (one == two)
        assert key == django_settings.SECRET_KEY
        assert [key, "older"] == django_settings.SECRET_KEY_FALLBACKS


def test_the_key_of_a_site_is_the_same_in_every_process_and_release():
    with override_site(7):
        assert django_settings.SECRET_KEY == (
            "85567f6350cbdd7507acb7e6e8464263f4e233a92ff50a6ede7321781130fa0a"
        )


def test_an_empty_key_is_what_it_is_in_django(site):
    with override_settings(SECRET_KEY=""), override_site(site):
        with pytest.raises(ImproperlyConfigured, match="SECRET_KEY setting must not be empty"):
            _ = django_settings.SECRET_KEY
        with pytest.raises(ImproperlyConfigured, match="SECRET_KEY setting must not be empty"):
            signing.dumps("a")


def test_a_key_that_was_deleted_is_missing(site):
    with override_settings(SECRET_KEY="x"):
        del django_settings.SECRET_KEY
        with override_site(site), pytest.raises(AttributeError):
            _ = django_settings.SECRET_KEY


def test_settings_that_cannot_be_used_do_not_hide_the_key():
    with override_settings(SITEFLEET={"FRESH": 1}):
        assert django_settings.SECRET_KEY == PROJECT_KEY


def test_switched_off_again_nothing_is_left_over(site):
    with override_site(site):
        derived = django_settings.SECRET_KEY
        with override_settings(SIGNING_BACKEND=DJANGO):
            assert django_settings.SECRET_KEY == PROJECT_KEY
        assert derived == django_settings.SECRET_KEY


def test_the_keys_take_no_query(site, django_assert_num_queries):
    with django_assert_num_queries(0), override_site(site.pk):
        assert django_settings.SECRET_KEY != PROJECT_KEY
        assert signing.loads(signing.dumps("a")) == "a"


# --- code that keeps what it has read ----------------------------------------------------------


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module of another party, which nobody has imported yet."""
    (tmp_path / "kept_key.py").write_text(
        "from django.conf import settings\n"
        "from django.core.signing import Signer\n"
        "from sitefleet.persite.signing import SiteSigner\n"
        "import kept_key_inner\n"
        "KEY = settings.SECRET_KEY\n"
        "signer, own = Signer(), Signer(key='own')\n"
        "site_signer = SiteSigner()\n"
    )
    (tmp_path / "kept_key_inner.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield "kept_key"
    sys.modules.pop("kept_key", None)
    sys.modules.pop("kept_key_inner", None)


def test_a_module_that_a_request_imports_keeps_the_key_of_the_project(site, other_site, module):
    with override_site(site):
        kept = importlib.import_module(module)
        signed = kept.signer.sign("a")
        assert django_settings.SECRET_KEY != PROJECT_KEY, "the import is over"
    assert kept.KEY == PROJECT_KEY
    with override_site(other_site):
        assert kept.signer.unsign(signed) == "a"
        assert not accepts(signing.Signer().unsign, signed)


def test_a_module_that_runs_the_server_is_imported_for_ever(
    site, module, tmp_path, settings, monkeypatch
):
    monkeypatch.setattr(island, "_starters", set())
    settings.SITE_ID = site.pk
    (tmp_path / "kept_key.py").write_text(
        "from django.conf import settings\n"
        "from sitefleet import override_site\n"
        "from sitefleet.persite import signing\n"
        "signing.connect()\n"
        "KEY = settings.SECRET_KEY\n"
        "with override_site(1):\n"
        "    served = settings.SECRET_KEY\n"
        "    import kept_key_inner\n"
    )
    (tmp_path / "kept_key_inner.py").write_text(
        "from django.conf import settings\nKEY = settings.SECRET_KEY\n"
    )
    kept = importlib.import_module(module)
    assert kept.KEY == kept.kept_key_inner.KEY == PROJECT_KEY != kept.served


def test_an_import_in_one_thread_is_nothing_to_another(site, module, tmp_path):
    begun, over = threading.Event(), threading.Event()
    sys.kept_key_events = begun, over
    (tmp_path / "kept_key.py").write_text(
        "import sys\nsys.kept_key_events[0].set()\nsys.kept_key_events[1].wait(10)\n"
    )
    thread = threading.Thread(target=importlib.import_module, args=[module])
    thread.start()
    try:
        begun.wait(10)
        with override_site(site):
            assert django_settings.SECRET_KEY != PROJECT_KEY
    finally:
        over.set()
        thread.join()
        del sys.kept_key_events


def test_signers_that_modules_keep_are_reported_on_servers(module, settings):
    importlib.import_module(module)
    messages = [
        message for message in run_checks_of(island, deploy=True) if message.id == "sitefleet.W373"
    ]
    assert [message.msg.split()[0] for message in messages] == ["kept_key.signer"]
    assert messages[0].hint
    assert "sitefleet.W373" not in ids()
    settings.SIGNING_BACKEND = DJANGO
    assert "sitefleet.W373" not in ids(deploy=True)


# --- sharing -----------------------------------------------------------------------------------


def key():
    return django_settings.SECRET_KEY


async def async_key():
    await asyncio.sleep(0)
    return key()


def each_key():
    yield key()
    yield key()


async def async_each_key():
    yield key()
    await asyncio.sleep(0)
    yield key()


async def listed(items):
    return [item async for item in items]


def test_sharing_decorates_all_kinds_of_functions(site):
    share = shared_signing()
    with override_site(site):
        assert share(key)() == PROJECT_KEY
        assert async_to_sync(share(async_key))() == PROJECT_KEY
        assert list(share(each_key)()) == [PROJECT_KEY] * 2
        assert async_to_sync(listed)(share(async_each_key)()) == [PROJECT_KEY] * 2
        assert share(key).__name__ == "key"
        assert key() != PROJECT_KEY


def test_a_shared_generator_shares_its_own_steps_only(site):
    with override_site(site):
        for shared in shared_signing()(each_key)():
            assert (shared, key() == PROJECT_KEY) == (PROJECT_KEY, False)


def test_sharing_nests_and_ends_with_an_exception(site):
    share = shared_signing()
    with override_site(site):
        with share:
            with pytest.raises(ZeroDivisionError), share:
                1 / 0  # noqa: B018
            assert key() == PROJECT_KEY
        assert key() != PROJECT_KEY


def abandoned():
    with shared_signing():
        yield key()
        yield key()


def test_sharing_that_an_abandoned_generator_left_behind_ends_with_the_site(site, other_site):
    with override_site(site):
        steps = abandoned()
        assert next(steps) == PROJECT_KEY
    for each in (site, other_site):
        with override_site(each):
            assert key() != PROJECT_KEY
    with shared_signing(), override_site(site):
        assert next(steps) == key() == PROJECT_KEY
    steps.close()
    with override_site(site):
        assert key() != PROJECT_KEY


def test_sharing_ends_with_its_block_whatever_was_left_behind_inside(site):
    with override_site(site):
        with shared_signing():
            steps = abandoned()
            next(steps)
        assert key() != PROJECT_KEY
        steps.close()
        with shared_signing():
            assert key() == PROJECT_KEY


kept_steps = []


def leave_behind(request):
    kept_steps.append(abandoned())
    return HttpResponse(next(kept_steps[-1]))


class LeavingUrls:
    urlpatterns = [
        path("leave/", leave_behind),
        path("key/", lambda _: HttpResponse(key())),
    ]


def test_sharing_that_a_request_left_behind_is_nothing_to_the_next_one(site, other_site, settings):
    settings.ROOT_URLCONF = LeavingUrls
    for each in (site, other_site, site):
        assert client_for(site).get("/leave/").content.decode() == PROJECT_KEY
        assert client_for(each).get("/key/").content.decode() != PROJECT_KEY
    kept_steps.clear()


async def test_sharing_in_one_task_is_nothing_to_another():
    async def shared():
        async with shared_signing():
            await asyncio.sleep(0.001)
            return key()

    with override_site(1):
        first, second, third = await asyncio.gather(shared(), async_key(), shared())
    assert first == third == PROJECT_KEY != second


def test_threads_have_the_key_of_the_site_they_carry(site):
    seen = []
    with override_site(site):
        thread = threading.Thread(target=carry_site(lambda: seen.append(key())))
        thread.start()
        thread.join()
        assert seen == [key()]


async def test_tasks_of_many_sites_never_mix_their_keys():
    async def work(pk):
        async with override_site(pk):
            signed = signing.dumps(pk)
            await asyncio.sleep(0)
            return pk, signed, key()

    done = await asyncio.gather(*[work(1 + number % 10) for number in range(200)])
    assert len({k for _, _, k in done}) == 10
    for pk, signed, _ in done[:20]:
        async with override_site(pk):
            assert signing.loads(signed) == pk
        async with override_site(pk + 1):
            assert not accepts(signing.loads, signed)


def test_a_signer_may_be_of_use_without_the_switch(site, other_site, settings):
    settings.SIGNING_BACKEND = DJANGO
    signer = SiteSigner()
    with override_site(site):
        signed = signer.sign_object({"a": 1})
        assert signer.unsign_object(signed, max_age=9) == {"a": 1}
    with override_site(other_site):
        assert not accepts(signer.unsign_object, signed)


def test_a_key_of_its_own_is_taken_as_it_is(site, other_site):
    with override_site(site):
        signed = SiteSigner(key="own").sign("a")
    with override_site(other_site):
        assert SiteSigner(key="own").unsign(signed) == "a"
        assert not accepts(SiteSigner(key="another").unsign, signed)


def test_where_a_signer_was_made_makes_no_difference(site, other_site):
    with override_site(site):
        made_there = SiteSigner(salt="s")
    with override_site(other_site):
        assert SiteSigner(salt="s").unsign(made_there.sign("a")) == "a"


# --- through the door, WSGI and ASGI -------------------------------------------------------------


def cookie(request):
    """Tell whether the cookie was signed here, and sign one."""
    response = HttpResponse(request.get_signed_cookie("name", "refused", salt="s"))
    response.set_signed_cookie("name", "accepted", salt="s")
    return response


async def async_cookie(request):
    return cookie(request)


class CookieUrls:
    urlpatterns = [path("cookie/", cookie), path("async-cookie/", async_cookie), *urls.urlpatterns]


@pytest.mark.parametrize("where", ["/cookie/", "/async-cookie/"])
@override_settings(ROOT_URLCONF=CookieUrls)
def test_a_signed_cookie_is_refused_on_another_host(site, other_site, where):
    mine = client_for(site)
    assert [mine.get(where).text, mine.get(where).text] == ["refused", "accepted"]
    thief = client_for(other_site)
    thief.cookies = mine.cookies
    assert thief.get(where).text == "refused"


@pytest.mark.parametrize("where", ["/cookie/", "/async-cookie/"])
@override_settings(ROOT_URLCONF=CookieUrls)
def test_a_signed_cookie_is_refused_on_another_host_under_asgi(site, other_site, where):
    first = async_to_sync(ask)("one.example.org", where)
    stolen = [(b"cookie", first["set-cookie"].partition(";")[0].encode())]
    assert first.body == b"refused"
    assert async_to_sync(ask)("one.example.org", where, headers=stolen).body == b"accepted"
    assert async_to_sync(ask)("two.example.org", where, headers=stolen).body == b"refused"


def test_a_reset_link_of_one_site_leads_nowhere_on_another(site, other_site, ada):
    client_for(site).post("/reset/", {"email": "ada@example.com"})
    (message,) = mail.outbox
    link = next(word for word in message.body.split() if "/reset/" in word)
    where = link.partition("one.example.org")[2]
    assert client_for(site).get(where).status_code == 302
    refused = client_for(other_site).get(where)
    assert (refused.status_code, refused.context["validlink"]) == (200, False)
    answer = async_to_sync(ask)("two.example.org", where)
    assert (answer.status, b"password" in answer.body) == (200, True)
    assert async_to_sync(ask)("one.example.org", where).status == 302


def test_one_who_logs_in_on_a_site_stays_logged_in_there(site, ada):
    client = client_for(site)
    client.force_login(ada)
    assert client.get("/cookies/").json()["user"] == "ada"
    client.logout()
    client.post("/accounts/login/", {"username": "ada", "password": "secret"})
    assert client.get("/cookies/").json()["user"] == "ada"


def name_elsewhere(request):
    """Look at the user, for the first time, on another site than the one that was asked."""
    with override_site(Site.objects.get(name="Two")):
        return HttpResponse(request.user.get_username())


async def async_name_elsewhere(request):
    async with override_site(await Site.objects.aget(name="Two")):
        return HttpResponse((await request.auser()).get_username())


def new_password_elsewhere(request):
    with override_site(Site.objects.get(name="Two")):
        request.user.set_password("new")
        request.user.save()
        update_session_auth_hash(request, request.user)
    return HttpResponse()


class ElsewhereUrls:
    urlpatterns = [
        path("name/", name_elsewhere),
        path("async-name/", async_name_elsewhere),
        path("new-password/", new_password_elsewhere),
        *urls.urlpatterns,
    ]


@override_settings(ROOT_URLCONF=ElsewhereUrls)
def test_a_request_that_enters_another_site_keeps_its_user(site, other_site, ada, settings):
    django_own = "django.contrib.auth.middleware.AuthenticationMiddleware"
    settings.MIDDLEWARE = [
        django_own if "AuthenticationMiddleware" in name else name for name in settings.MIDDLEWARE
    ]
    client = client_for(site)
    client.force_login(ada)
    for where in ("/name/", "/async-name/", "/name/"):
        assert client.get(where).text == "ada"
    client.get("/new-password/")
    assert client.get("/cookies/").json()["user"] == "ada"


def test_the_hash_of_a_session_is_that_of_the_project_and_its_keys_are_replaced_as_ever(site, ada):
    before = ada.get_session_auth_hash()
    with override_site(site):
        assert ada.get_session_auth_hash() == before
        with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[PROJECT_KEY]):
            assert ada.get_session_auth_hash() != before
            assert list(ada.get_session_auth_fallback_hash()) == [before]


def test_the_test_suite_of_one_site_goes_on_as_it_was(site, ada, client, settings):
    settings.SITE_ID = site.pk
    client.force_login(ada)
    assert client.get("/cookies/").json()["user"] == "ada"


class HeardUrls:
    """A page of messages that is rendered for another site."""

    @staticmethod
    def heard(request):
        with override_site(Site.objects.get(name="Two")):
            return HttpResponse(" ".join(map(str, messages.get_messages(request))))

    urlpatterns = [path("heard/", heard), *urls.urlpatterns]


@override_settings(
    ROOT_URLCONF=HeardUrls,
    MESSAGE_STORAGE="django.contrib.messages.storage.cookie.CookieStorage",
)
def test_messages_are_those_of_the_request_whichever_site_it_has_entered(site, other_site):
    client = client_for(site)
    client.get("/cookies/?say=hello")
    assert client.get("/heard/").text == "hello"


# --- checks ----------------------------------------------------------------------------------


def ids(*, deploy=False):
    return {message.id for message in run_checks_of(island, deploy=deploy)}


class Inherits(SiteSigner):
    pass


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        (BACKEND, set()),
        (f"{__name__}.Inherits", set()),
        (DJANGO, {"sitefleet.W372"}),
        ("django.core.signing.dumps", {"sitefleet.W372"}),
        ("project.signing.Missing", {"sitefleet.E371"}),
    ],
)
def test_a_backend_that_does_not_follow_the_sites_is_reported(settings, backend, expected):
    sys.modules.setdefault(__name__, sys.modules[Inherits.__module__])
    settings.SIGNING_BACKEND = backend
    messages = run_checks_of(island)
    assert {message.id for message in messages} == expected
    assert all(BACKEND in message.hint for message in messages)


def test_a_backend_that_cannot_be_imported_shares_nothing(site, settings):
    settings.SIGNING_BACKEND = "project.signing.Missing"
    with override_site(site):
        assert django_settings.SECRET_KEY != PROJECT_KEY


@pytest.mark.parametrize("default", [None, 1])
def test_a_weak_key_is_told_whichever_site_is_the_default(settings, default):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "django-insecure-x", ["y"]
    settings.SITE_ID = default
    found = checks.run_checks(tags=[checks.Tags.security], include_deployment_checks=True)
    messages = [message.id for message in found]
    assert messages.count("security.W009") == messages.count("security.W025") == 1


def test_the_key_of_the_site_is_what_signs_by_any_way(site):
    with override_site(site):
        assert site_key(PROJECT_KEY) == django_settings.SECRET_KEY
