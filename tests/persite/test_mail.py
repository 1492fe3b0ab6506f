"""Rows 7, 30 and 31: mails name the site's own host, and what stands in a row forges no header."""

import copy
import re

import django
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.sites.models import Site
from django.core import mail
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.db import DatabaseError, connection
from django.http import HttpResponse
from django.template import Context, Template
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sitefleet import get_current_site, override_site
from sitefleet.addresses import site_url
from sitefleet.current import carry_iterable, current_state
from sitefleet.models import SiteConfig
from sitefleet.persite import mail as island
from sitefleet.persite.mail import BACKEND, SMTP, Links, links_of_request
from sitefleet.presented import Shown
from sitefleet.registry import add_alias, add_site, configure_site
from sitefleet.resolver import resolver
from sitefleet.test import client_for
from tests import urls
from tests.asgi import ask
from tests.persite.island_checks import run_checks_of

LOCMEM = "django.core.mail.backends.locmem.EmailBackend"
HAS_MAILERS = django.VERSION >= (6, 1)


def switch_on(settings, backend=BACKEND, inner=LOCMEM):
    settings.SITEFLEET = {**settings.SITEFLEET, "MAIL_BACKEND": inner}
    if HAS_MAILERS:
        settings.MAILERS = {"default": {"BACKEND": backend}}
    else:
        settings.EMAIL_BACKEND = backend


@pytest.fixture
def switched_on(settings):
    switch_on(settings)


def send_link(request):
    """Send what code that knows no sites sends: links made from the request."""
    link = request.build_absolute_uri("/page/?a=1")
    message = EmailMultiAlternatives(
        "Subject",
        f"Look: {link}.",
        to=["ada@example.com"],
        headers={"List-Unsubscribe": f"<{link}>"},
    )
    message.attach_alternative(f'<a href="{link}&amp;b=2">{link}</a>', "text/html")
    message.attach("link.txt", link, "text/plain")
    message.send()
    return HttpResponse("sent")


async def async_send_link(request):
    return send_link(request)


def send_for_another(request):
    with override_site(Site.objects.get(name="Two")):
        return send_link(request)


def send_by_generator(request):
    @override_site(get_current_site())
    def sending():
        yield send_link(request)

    def carried():
        yield send_link(request)

    return [*sending(), *carry_iterable(override_site(get_current_site())(carried)())][-1]


def ask_reset(request):
    form = PasswordResetForm({"email": "ada@example.com"})
    assert form.is_valid()
    form.save(request=request, use_https=request.is_secure())
    return HttpResponse("sent")


class MailUrls:
    urlpatterns = [
        path("ask-reset/", ask_reset),
        path("send/", send_link),
        path("async-send/", async_send_link),
        path("send-for-another/", send_for_another),
        path("send-by-generator/", send_by_generator),
        *urls.urlpatterns,
    ]


@pytest.fixture
def served(site, settings):
    """Ways to ask for the site: by its name, by a served alias, by other spellings of both."""
    settings.ROOT_URLCONF = MailUrls
    add_alias(site, "served.example", redirect=False)
    add_alias(site, "*.wild.example", redirect=False)
    return site


ASKED = [
    "one.example.org",
    "one.example.org:666",
    "ONE.example.org.",
    "served.example",
    "Served.Example:8080",
    "served.example.:8080",
    "a.b.wild.example",
]


def ask_wsgi(host, where, **headers):
    return Client().get(where, headers={"host": host, **headers}).status_code


def ask_asgi(host, where, **headers):
    more = [(name.encode(), value.encode()) for name, value in headers.items()]
    return async_to_sync(ask)(host, where, headers=more).status


by_each_door = pytest.mark.parametrize("door", [ask_wsgi, ask_asgi])


# --- links that are built from the request -----------------------------------------------------


@pytest.mark.parametrize(("door", "where"), [(ask_wsgi, "/send/"), (ask_asgi, "/async-send/")])
@pytest.mark.parametrize("host", ASKED)
def test_links_name_the_sites_own_host(served, switched_on, door, where, host):
    assert door(host, where) == 200
    (message,) = mail.outbox
    link = "https://one.example.org/page/?a=1"
    assert message.body == f"Look: {link}."
    assert message.alternatives == [(f'<a href="{link}&amp;b=2">{link}</a>', "text/html")]
    assert message.extra_headers == {"List-Unsubscribe": f"<{link}>"}


@by_each_door
def test_without_the_backend_such_links_name_the_host_that_was_asked_for(served, door):
    assert door("served.example", "/send/") == 200
    assert "http://served.example/page/" in mail.outbox[0].body


@by_each_door
@override_settings(USE_X_FORWARDED_HOST=True)
def test_links_name_the_sites_own_host_behind_a_proxy(served, switched_on, door):
    assert door("10.0.0.1", "/send/", **{"x-forwarded-host": "served.example:8080"}) == 200
    assert "//one.example.org/page/" in mail.outbox[0].body


@by_each_door
def test_links_name_the_sites_own_host_where_any_host_is_answered(
    served, switched_on, monkeypatch, door
):
    monkeypatch.setenv("SITEFLEET_SITE", "one")
    assert door("evil.test:1", "/send/") == 200
    assert mail.outbox[0].body == "Look: https://one.example.org/page/?a=1."


@by_each_door
@pytest.mark.parametrize("host", ["testserver", "192.0.2.7", "[2001:db8::7]:8000"])
def test_links_name_the_sites_own_host_where_a_host_is_listed(
    served, switched_on, settings, door, host
):
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver", "192.0.2.7", "[2001:db8::7]"]
    settings.SITE_ID = served.pk
    assert door(host, "/send/") == 200
    assert mail.outbox[0].body == "Look: https://one.example.org/page/?a=1."


def test_links_name_the_host_of_this_environment(served, switched_on, settings):
    settings.SITEFLEET = {**settings.SITEFLEET, "DOMAIN_FORMAT": "{slug}.localhost:8000"}
    settings.DEBUG = True
    add_alias(served, "other.localhost", redirect=False)
    for host in ("one.localhost", "other.localhost:9", "one.localhost:8000"):
        assert ask_wsgi(host, "/send/") == 200
    assert {message.body for message in mail.outbox} == {
        "Look: http://one.localhost:8000/page/?a=1."
    }


def test_links_in_a_mail_for_another_site_lead_to_the_one_that_was_asked(
    served, other_site, switched_on
):
    assert ask_wsgi("served.example", "/send-for-another/") == 200
    assert "https://one.example.org/page/" in mail.outbox[0].body


def test_links_name_the_sites_own_host_in_a_generator_of_the_site(served, switched_on):
    assert ask_wsgi("served.example:8080", "/send-by-generator/") == 200
    for message in mail.outbox:
        assert message.body == "Look: https://one.example.org/page/?a=1."
    assert len(mail.outbox) == 2


def test_files_are_sent_as_they_are(served, switched_on):
    ask_wsgi("served.example", "/send/")
    ((_, content, _),) = mail.outbox[0].attachments
    assert content == "http://served.example/page/?a=1"


def test_outside_of_requests_nothing_is_changed(served, switched_on):
    text = "https://served.example/ http://one.example.org:81/"
    for entered in (None, served):
        with override_site(entered):
            EmailMessage("s", text, to=["a@example.com"]).send()
    assert [message.body for message in mail.outbox] == [text] * 2


def test_a_site_without_a_host_of_its_own_keeps_the_links(served, switched_on):
    SiteConfig.objects.filter(pk=served.pk).update(domain="")
    assert ask_wsgi("served.example", "/send/") == 200
    assert "http://served.example/" in mail.outbox[0].body


def test_a_domain_that_raw_sql_has_spoilt_gets_into_no_mail(served, switched_on):
    Site.objects.filter(pk=served.pk).update(domain='x"><script>')
    assert ask_wsgi("served.example", "/send/") == 200
    assert "script" not in str(mail.outbox[0].alternatives)


# --- what is a link to that host, and what is not ------------------------------------------------


def links(asked="alias.test", host="one.test", path_prefix=""):
    return Links(asked, Shown(1, host, path_prefix, "one", host))


CHANGED = {
    "http://alias.test": "https://one.test",
    "Go to https://alias.test.": "Go to https://one.test.",
    "https://alias.test:8080/a?b#c": "https://one.test/a?b#c",
    "https://alias.test./a": "https://one.test/a",
    "HTTP://ALIAS.test/a": "https://one.test/a",
    "(https://alias.test) <https://alias.test>": "(https://one.test) <https://one.test>",
    "https://alias.test: there": "https://one.test: there",
    "https://alias.test?a,https://alias.test#b": "https://one.test?a,https://one.test#b",
    "<img src='//alias.test/a.png'>": "<img src='https://one.test/a.png'>",
    "https://o.test/?to=https://alias.test/": "https://o.test/?to=https://one.test/",
    "http://one.test/a http://one.test:81/": "https://one.test/a https://one.test/",
}
OTHERS = [
    "https://alias.test.evil.test/",
    "https://alias.testing/",
    "https://alias.test-evil.test/",
    "https://not-alias.test/",
    "https://sub.alias.test/",
    "https://alias.test@evil.test/",
    "https://alias.test:80@evil.test/",
    "https://alias.test:pw@evil.test/",
    "https://alias.test.@evil.test/",
    "https://alias.test.:pw@evil.test/",
    "https://alias.testé/",
    "https://alias.test%2eevil.test/",
    "https://evil.test/https://alias.test/",
    "https://evil.test//alias.test/",
    "ftp://alias.test/",
    "xhttps://alias.test/",
    "a comment//alias.test",
    "info@alias.test",
    "alias.test/page",
]


@pytest.mark.parametrize(("text", "expected"), CHANGED.items())
def test_a_link_to_the_host_that_was_asked_is_changed(db, text, expected):
    assert links().rewrite(text) == expected


@pytest.mark.parametrize("text", OTHERS)
def test_other_hosts_are_not_touched(db, text):
    assert links().rewrite(text) == text


@hypothesis_settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # a database that is only read
)
@given(
    st.text(max_size=30),
    st.text(alphabet="abé.-_:@/\\%#?1& \n\"'<", max_size=12),
    st.text(max_size=30),
)
def test_any_text_stays_but_for_its_links(db, before, behind, after):
    text = f"{before}https://other.test{behind}{after}"
    assert links("no.example", "none.example").rewrite(text) == text
    changed = re.sub(
        r"https://other\.test(\.(?=[:/?#]))?(:[0-9]+)?", "https://one.test", text, count=1
    )
    as_it_was = text.replace("other.test", "alias.test")
    assert links().rewrite(as_it_was) in {changed, as_it_was}


def test_a_path_prefix_goes_before_the_path_but_not_of_static_files(db, settings):
    settings.STATIC_URL, settings.MEDIA_URL = "/static/", "/media/"
    rewrite = links(path_prefix="/de").rewrite
    assert rewrite("http://alias.test/a http://alias.test.") == (
        "https://one.test/de/a https://one.test/de."
    )
    assert rewrite("http://alias.test/static/a") == "https://one.test/static/a"
    assert rewrite("http://alias.test/media/a") == "https://one.test/media/a"
    assert rewrite("http://one.test/de/a") == "https://one.test/de/a", "it is there already"
    assert rewrite("http://one.test/gh/a") == "https://one.test/gh/a", "of a sibling"


def test_a_path_prefix_goes_behind_what_the_server_mounts_the_project_at(
    db, settings, mounted_by_server
):
    django.urls.set_script_prefix("/app/")
    rewrite = links(path_prefix="/de").rewrite
    assert rewrite("http://alias.test/app/a http://alias.test/app.") == (
        "https://one.test/app/de/a https://one.test/app/de."
    )
    assert rewrite("http://alias.test/apple/") == "https://one.test/apple/"
    assert links().rewrite("http://alias.test/app/a") == "https://one.test/app/a"


def refuse(host):
    raise DatabaseError(host)


def test_a_port_that_leads_to_another_site_is_left_alone(served, switched_on, monkeypatch):
    other = add_site("port", domain="one.example.org:8443")
    match = resolver.find("one.example.org").root
    assert other.pk != match.site.pk
    token = current_state.set(match.frame)
    try:
        rewrite = links_of_request().rewrite
        assert rewrite("http://one.example.org:8443/") == "http://one.example.org:8443/"
        assert rewrite("http://one.example.org:8444/") == "https://one.example.org/"
        assert rewrite("http://one.example.org:99999/") == "https://one.example.org/"
        monkeypatch.setattr(resolver, "find", refuse)
        rewrite = links_of_request().rewrite
        assert rewrite("http://one.example.org:8443/") == "https://one.example.org/"
    finally:
        current_state.reset(token)


def test_ports_that_somebody_makes_up_in_a_text_cost_few_queries(served):
    token = current_state.set(resolver.find("one.example.org").root.frame)
    text = " ".join(f"http://one.example.org:{port}" for port in range(1000, 1100))
    try:
        found = links_of_request()
        for body in (text, text.replace(":1", ":2")):
            message = EmailMessage("s", body, to=["ada@example.com"])
            with CaptureQueriesContext(connection) as queries:
                found.put_into(message)
            assert set(message.body.split()) == {"https://one.example.org"}
            assert len([query for query in queries if "UNION" in query["sql"]]) == 8
    finally:
        current_state.reset(token)


# --- the backend ---------------------------------------------------------------------------------


def test_lazy_and_safe_texts_are_changed_and_other_things_are_not(db):
    message = EmailMultiAlternatives("s", gettext_lazy("http://alias.test"), to=["a@example.com"])
    message.extra_headers = {"X-Count": 3}
    message.attach_alternative(mark_safe("http://alias.test"), "text/html")
    message.attach_alternative(b"http://alias.test", "application/octet-stream")
    links().put_into(message)
    assert message.body == "https://one.test"
    assert message.extra_headers == {"X-Count": 3}
    assert [part[0] for part in message.alternatives] == ["https://one.test", b"http://alias.test"]


def test_headers_that_were_given_to_several_messages_are_not_changed_for_others(db):
    given_headers = {"List-Unsubscribe": "<http://alias.test>"}
    message = EmailMessage("s", "b", to=["a@example.com"], headers=given_headers)
    links().put_into(message)
    assert given_headers == {"List-Unsubscribe": "<http://alias.test>"}


class Recorder:
    """A backend that tells how it was made and what it was told."""

    made = []

    def __init__(self, *args, **options):
        self.calls = [(args, options)]
        self.made.append(self)

    def open(self):
        self.calls.append("open")
        return True

    def close(self):
        self.calls.append("close")

    def send_messages(self, messages):
        self.calls.append(len(messages))
        return len(messages)


@pytest.fixture
def recorder(settings, monkeypatch):
    monkeypatch.setattr("tests.views.Recorder", Recorder, raising=False)
    monkeypatch.setattr(Recorder, "made", [])
    return "tests.views.Recorder"


def test_the_real_backend_gets_the_options_and_all_calls(settings, recorder):
    switch_on(settings, inner=recorder)
    if HAS_MAILERS:
        settings.MAILERS = {"default": {"BACKEND": BACKEND, "OPTIONS": {"host": "h"}}}
        backend = mail.mailers.default
        expected = ((), {"host": "h", "alias": "default"})
    else:
        backend = mail.get_connection(host="h", fail_silently=True)
        expected = ((), {"host": "h", "fail_silently": True})
    message = EmailMessage("s", "b", to=["a@example.com"])
    with backend as connection:
        assert connection.send_messages(iter([message, message])) == 2
    (inner,) = Recorder.made
    assert inner.calls == [expected, "open", 2, "close"]
    assert backend.open() is True


@pytest.mark.django(6, 1)
def test_a_mailer_names_its_own_real_backend(settings, recorder):
    settings.MAILERS = {"bulk": {"BACKEND": BACKEND, "OPTIONS": {"backend": recorder}}}
    assert EmailMessage("s", "b", to=["a@example.com"]).send(using="bulk") == 1
    assert Recorder.made[0].calls[0] == ((), {"alias": "bulk"})


def test_messages_that_keep_their_connection_can_be_copied(switched_on):
    message = EmailMessage("s", "b", to=["a@example.com"])
    message.send()
    assert copy.deepcopy(mail.outbox[0]).subject == "s"


# --- row 7: password resets, with and without the backend --------------------------------------


@pytest.fixture
def ada(django_user_model):
    return django_user_model.objects.create_user("ada", "ada@example.com", "secret")


@by_each_door
@pytest.mark.parametrize("backend", [BACKEND, LOCMEM])
@pytest.mark.parametrize("host", ASKED[1:5])
@pytest.mark.usefixtures("served", "ada")
def test_a_reset_mail_links_to_the_site_alone(settings, door, backend, host):
    switch_on(settings, backend)
    assert door(host, "/ask-reset/", **{"x-forwarded-host": "evil.test"}) == 200
    (message,) = mail.outbox
    assert message.body.count("//") == message.body.count("//one.example.org/reset/") == 1
    for name in ("evil", "served", "wild"):
        assert name not in message.body


def test_a_mail_from_a_task_links_by_site_url(served, other_site, switched_on):
    with override_site(other_site):
        EmailMessage("s", site_url(served, "/page/"), to=["a@example.com"]).send()
    assert mail.outbox[0].body == "https://one.example.org/page/"


# --- From -------------------------------------------------------------------------------------


@pytest.fixture
def own_addresses(served, other_site, settings):
    """Both sites have a From address of their own."""
    declared = {"DEFAULT_FROM_EMAIL": {}, "SERVER_EMAIL": {}, "EMAIL_SUBJECT_PREFIX": {}}
    settings.SITEFLEET = {**settings.SITEFLEET, "SITE_SETTINGS": declared}
    settings.DEFAULT_FROM_EMAIL = "project@example.com"
    settings.ADMINS = (
        [("Admin", "admin@example.com")] if django.VERSION < (6, 0) else ["a@example.com"]
    )
    for one, name in ((served, "One"), (other_site, "Two")):
        values = {
            "DEFAULT_FROM_EMAIL": f'"{name}, the site" <info@{name.lower()}.example>',
            "SERVER_EMAIL": f"server@{name.lower()}.example",
            "EMAIL_SUBJECT_PREFIX": f"[{name}] ",
        }
        configure_site(one, settings=values)


def test_a_mail_is_from_its_site(served, other_site, own_addresses, ada, switched_on):
    for one in (served, other_site, served):
        client_for(one).post("/reset/", {"email": "ada@example.com"})
    with override_site(other_site):
        EmailMessage("s", "b", to=["a@example.com"]).send()
    EmailMessage("s", "b", to=["a@example.com"]).send()
    assert [message.from_email.rpartition("@")[2] for message in mail.outbox] == [
        "one.example>",
        "two.example>",
        "one.example>",
        "two.example>",
        "example.com",
    ]
    assert "the site" in str(mail.outbox[0].message()["From"])


def test_a_mail_to_the_admins_is_from_its_site(served, other_site, own_addresses):
    for one in (served, other_site):
        with override_site(one):
            mail.mail_admins("down", "b")
    assert [(message.from_email, message.subject) for message in mail.outbox] == [
        ("server@one.example", "[One] down"),
        ("server@two.example", "[Two] down"),
    ]


def test_a_from_address_that_raw_sql_has_forged_is_not_used(served, own_addresses, switched_on):
    forged = {"DEFAULT_FROM_EMAIL": "info@one.example\nBcc: evil@example.com"}
    SiteConfig.objects.filter(pk=served.pk).update(settings=forged)
    with override_site(served):
        EmailMessage("s", "b", to=["a@example.com"]).send()
    assert mail.outbox[0].from_email == "project@example.com"


# --- rows 30 and 31: a name forges nothing ------------------------------------------------------

EVIL_NAMES = [
    "One\nBcc: evil@example.com",
    "One\r\nBcc: evil@example.com",
    "One\rBcc: evil@example.com",
]


@pytest.mark.parametrize("name", EVIL_NAMES)
def test_a_sites_name_forges_no_header_of_a_reset_mail(served, ada, switched_on, name):
    Site.objects.filter(pk=served.pk).update(name=name)
    client_for(served).post("/reset/", {"email": "ada@example.com"})
    (message,) = mail.outbox
    sent = message.message()
    assert sent["Bcc"] is None
    assert "\n" not in message.subject
    assert message.recipients() == ["ada@example.com"]


@pytest.mark.parametrize("name", EVIL_NAMES)
@pytest.mark.parametrize("place", ["subject", "from_email", "header"])
def test_a_mail_whose_headers_are_forged_is_not_sent(served, switched_on, name, place):
    message = EmailMessage("s", "b", "a@example.com", ["a@example.com"])
    if place == "header":
        message.extra_headers = {"X-Site": name}
    else:
        setattr(message, place, f"{name} <a@example.com>")
    with override_site(served), pytest.raises(ValueError, match=r"(?i)header|newline|linefeed|CR"):
        message.send()
    assert mail.outbox == []


def test_template_syntax_in_a_sites_name_is_text(served, ada, switched_on):
    name = "{{ settings.SECRET_KEY }}{% debug %}"
    Site.objects.filter(pk=served.pk).update(name=name)
    client_for(served).post("/reset/", {"email": "ada@example.com"})
    assert name in mail.outbox[0].subject
    with override_site(served):
        shown_name = Template("{{ site.name }}").render(Context({"site": served.name}))
    assert "not a secret" not in shown_name


# --- checks ------------------------------------------------------------------------------------


def found():
    return run_checks_of(island)


def ids():
    return [message.id.removeprefix("sitefleet.") for message in found()]


def test_a_project_without_the_backend_and_one_with_it_are_fine(settings):
    assert ids() == []
    switch_on(settings)
    assert ids() == []


@pytest.mark.parametrize("inner", ["project.mail.Missing", BACKEND])
def test_a_real_backend_that_cannot_send_is_reported(settings, inner):
    switch_on(settings, inner=inner)
    assert ids() == ["E381"]
    assert SMTP in found()[0].hint
    assert inner in found()[0].msg


def test_a_real_backend_that_nobody_uses_is_reported(settings):
    switch_on(settings, backend=SMTP)
    assert ids() == ["W382"]
    assert BACKEND in found()[0].hint


def test_the_backend_that_django_puts_in_for_tests_is_none_that_was_forgotten(settings):
    switch_on(settings, backend=LOCMEM)
    assert ids() == []


@pytest.mark.django(6, 1)
def test_a_mailer_beside_ours_is_reported(settings):
    settings.MAILERS = {
        "default": {"BACKEND": BACKEND, "OPTIONS": {"backend": LOCMEM}},
        "bulk": {"BACKEND": SMTP},
    }
    assert ids() == ["W383"]
    assert "MAILERS['bulk']" in found()[0].msg


def test_settings_that_cannot_be_used_are_left_to_their_own_check(settings):
    settings.SITEFLEET = {"FRESH": 1}
    assert ids() == []
