"""Rows 7, 12, 30 and 31: what a site signs and sends, and what its name or settings forge.

Row 30 is about what people who run one site may write: its name, its settings, its flat pages. No
template comes from the database, so there is no sandbox to break out of; that of mails which the
admins of a site may edit waits for the feature itself.
"""

import re
import sys

import pytest
from django.contrib.flatpages.models import FlatPage
from django.contrib.sites.models import Site
from django.core import mail, signing
from django.utils.html import escape
from prometheus_client.parser import text_string_to_metric_families

from sitefleet import override_site
from sitefleet.models import Alias, SiteConfig
from sitefleet.persite.settings import _told
from sitefleet.persite.signing import shared_signing
from sitefleet.registry import add_alias, configure_site, set_state
from tests.attacks.project import ONE, TWO

# --- row 7: links in mails --------------------------------------------------------------------

ASKED = [ONE, f"{ONE}:666", ONE.upper(), f"{ONE}.", "served.example", "Served.Example:8443"]
SPOOFED = {"x-forwarded-host": TWO, "x-forwarded-port": "666", "x-host": "evil.test"}


@pytest.fixture
def reset(sites, anna):
    """Let somebody ask for a new password; return the path in the mail, within the site."""
    add_alias(sites.one, "served.example", redirect=False)

    def ask(visitor, headers=None):
        mail.outbox.clear()
        answer = visitor.post("/reset/", {"email": "anna@example.com"}, headers=headers)
        assert answer.status == 302
        (message,) = mail.outbox
        (link,) = re.findall(r"\S+://\S+", message.body)
        return link

    return ask


@pytest.mark.parametrize("host", ASKED)
def test_row_7_a_reset_mail_names_the_site_whatever_was_asked(visit, sites, reset, host):
    for site, prefix, sender in (
        (sites.one, "", "one@one.example"),
        (sites.below, "/below", "webmaster@localhost"),
    ):
        visitor = visit(site)
        visitor.host = ONE
        visitor.get("/form/")
        if site is sites.one or "erved" not in host:
            visitor.host = host
        origin = f"https://{visitor.host.lower().rstrip('.')}"
        link = reset(visitor, {**SPOOFED, "origin": origin})
        assert link.startswith(f"https://{ONE}{prefix}/reset/")
        assert mail.outbox[0].from_email == sender
        sent = mail.outbox[0].message().as_string()
        for other in (":666", ":8443", "served", "Served", "evil", TWO):
            assert other not in sent.replace(link, "")


def test_row_7_a_reset_link_of_one_site_changes_nothing_on_another(visit, sites, reset, anna):
    link = reset(visit(sites.one)).removeprefix(f"https://{ONE}")
    form = {"new_password1": "Gee5ohngahch", "new_password2": "Gee5ohngahch"}
    own = visit(sites.one)
    own_step = own.get(link)["location"]
    for site in (sites.two, sites.below):
        visitor = visit(site)
        answer = visitor.get(link)
        assert (answer.status, answer["location"]) == (200, "")
        visitor.post(link, form)
        # With the session in which the site itself keeps the token, too.
        visitor.cookies[visitor.name_of("sessionid")] = own.cookies["__Host-sessionid"]
        visitor.post(own_step, form)
        anna.refresh_from_db()
        assert anna.check_password("secret")
    assert own.post(own_step, form).status == 302
    anna.refresh_from_db()
    assert anna.check_password("Gee5ohngahch")


def test_row_7_links_that_are_built_from_the_request_name_the_site_too(visit, sites):
    add_alias(sites.one, "served.example", redirect=False)
    for site, place in ((sites.one, ONE), (sites.below, f"{ONE}/below")):
        for host in (ONE, f"{ONE}:666", "served.example:8443"):
            if host.startswith("served") and site is sites.below:
                continue
            visitor = visit(site)
            visitor.host = host
            visitor.get("/write/", headers=SPOOFED)
            assert mail.outbox[-1].body.split()[-1] == f"https://{place}/look/"


# --- row 12: signatures -----------------------------------------------------------------------


def test_row_12_what_one_site_signs_is_refused_on_another(visit, sites, settings):
    visitors = {name: visit(site) for name, site in sites._asdict().items()}
    links = {name: one.get("/signed/").json()["link"] for name, one in visitors.items()}
    seats = {name: one.cookies["seat"] for name, one in visitors.items()}
    for replaced in (False, True):
        if replaced:
            settings.SECRET_KEY_FALLBACKS = ["not a secret"]
            settings.SECRET_KEY = "another one"
        for name, visitor in visitors.items():
            for other, link in links.items():
                visitor.cookies["seat"] = seats[other]
                found = visitor.get(f"/opened/{link}/").json()
                good = {"link": {"unsubscribe": 7}, "seat": "1A"}
                assert found == (good if other == name else {"link": None, "seat": ""})


def test_row_12_messages_of_one_site_are_not_shown_on_another(visit, sites):
    mine = visit(sites.one)
    mine.get("/who/?say=secret")
    for site in (sites.two, sites.below):
        other = visit(site)
        other.cookies[other.name_of("messages")] = mine.cookies["__Host-messages"]
        assert other.get("/who/").json()["messages"] == []
    assert mine.get("/who/").json()["messages"] == ["secret"]


def test_row_12_only_what_is_signed_for_all_counts_for_all(visit, sites):
    for entered in (None, sites.one):
        with override_site(entered), shared_signing():
            link = signing.dumps({"unsubscribe": 7}, salt="letter")
        for site in sites:
            assert visit(site).get(f"/opened/{link}/").json()["link"] is None


# --- row 30: code in names and settings -------------------------------------------------------

CODE = [
    "{{ settings.SECRET_KEY }}{{ request.user }}",
    "{% debug %}{% include 'look.html' %}",
    "{0.__class__}{slug}{site.pk}%(site_id)s %s %d",
    "${7*7}#{7*7}<%= 7*7 %>{{ 7*7 }}",
    "<script>alert(1)</script>'\"",
]


@pytest.mark.parametrize("code", CODE)
def test_row_30_what_a_site_says_of_itself_is_text(visit, sites, lines, code):
    add_alias(sites.one, "served.example", redirect=False)
    Site.objects.filter(pk=sites.one.pk).update(name=code)
    configure_site(sites.one, settings={"MOTTO": code})
    visitor = visit(sites.one)
    shown = visitor.get("/names/").text
    assert shown == f"{escape(code)}|{escape(code)}|red over shared"
    FlatPage.objects.create(url="/flat/", title="Flat", content=code).sites.add(sites.one)
    assert visitor.get("/pages/flat/").text == code, (
        "Django trusts who writes these, but runs nothing"
    )
    visitor.get("/write/")
    assert mail.outbox[-1].subject == f"From {code}"
    assert mail.outbox[-1].body.split() == ["red", "over", "shared", f"https://{ONE}/look/"]
    for state in ("maintenance", "archived"):
        set_state(sites.one, state)
        page = visitor.get("/names/").text
        assert escape(code) in page
        assert "<script>" not in page
    for line in lines():
        assert "not a secret" not in line


def test_row_30_no_code_is_loaded_that_a_row_names(visit, sites):
    visitor = visit(sites.one)
    for theme in ("../../templates", "red/../blue", "..", "/etc", "red\n", "{{ theme }}", "blue/"):
        SiteConfig.objects.filter(pk=sites.one.pk).update(theme=theme)
        answer = visitor.get("/look/").json()
        assert (answer["theme"], answer["static"]) == ("shared", "/static/look.css")
    for urlconf in ("antigravity", "tests.attacks.views", "tests.attacks.urls_red\n", "..os"):
        SiteConfig.objects.filter(pk=sites.one.pk).update(urlconf=urlconf)
        assert visitor.get("/look/").status == 503
    assert "antigravity" not in sys.modules


# --- row 31: lines and headers ----------------------------------------------------------------

#: Not longer than any column, so that databases take it which look.
FORGED = "x\r\n0 - django.request forged\nBcc: e@x\n\n\u202e\u2028\"'\\;<b>"
LINE = re.compile(r"[0-9]+ [a-z0-9?-]+ [a-z.]+ [^\r\n\u202e\u2028]+")


def test_row_31_nothing_in_a_row_forges_a_line_of_a_log(visit, sites, lines):
    _told.clear()  # what is told once for each value
    SiteConfig.objects.filter(pk=sites.one.pk).update(
        slug=FORGED, theme=FORGED, settings={"TICKETS": FORGED, "TIME_ZONE": FORGED}
    )
    Site.objects.filter(pk=sites.one.pk).update(name=FORGED)
    visitor = visit(sites.one)
    visitor.get("/look/")
    visitor.get("/nothing\r\n0 - django.request forged/")
    visitor.post("/who/", headers={"origin": "null"})
    SiteConfig.objects.filter(pk=sites.one.pk).update(urlconf=FORGED)
    assert visitor.get("/look/").status == 503
    written = lines()
    assert sum("forged" in line for line in written) >= 5
    for line in written:
        assert LINE.fullmatch(line), line


def test_row_31_django_tells_of_a_page_with_its_site(visit, sites, lines):
    for name, site in sites._asdict().items():
        visit(site).get("/nothing/")
        visit(site).post("/who/", headers={"origin": "null"})
        assert [line.split()[:2] for line in lines()[-2:]] == [[str(site.pk), name]] * 2


def test_row_31_nothing_in_a_row_forges_a_header(visit, sites, anna):
    Site.objects.filter(pk=sites.two.pk).update(domain=f"{TWO}{FORGED}", name=FORGED)
    add_alias(sites.two, "served.example", redirect=False)
    Alias.objects.bulk_create([Alias(site=sites.two, name="old.example", redirect=True)])
    visitor = visit(sites.two)
    visitor.host = "served.example"
    answers = [visitor.get(path) for path in ("/look/", "/names/", "/sitemap.xml", "/feed/")]
    answers.append(visitor.post("/reset/", {"email": "anna@example.com"}))
    answers.append(visitor.get("/write/"))
    visitor.host = "old.example"
    answers.append(visitor.get("/look/"))
    for answer in answers:
        assert b"Bcc" not in dict(answer.headers)
        for name, value in answer.headers:
            assert not re.search(rb"[\r\n\x00]", name + value)
    for message in mail.outbox:
        assert message.recipients() in (["anna@example.com"], ["ada@example.com"])
        assert set(message.message()) <= MAIL_HEADERS


MAIL_HEADERS = {
    "Content-Type",
    "MIME-Version",
    "Content-Transfer-Encoding",
    "Subject",
    "From",
    "To",
    "Date",
    "Message-ID",
}


def test_row_31_nothing_in_a_row_forges_a_metric(visit, sites):
    SiteConfig.objects.filter(pk=sites.two.pk).update(slug=FORGED)
    visitor = visit(sites.two)
    visitor.get("/form/")
    families = text_string_to_metric_families(visitor.get("/metrics/").text)
    (requests,) = [family for family in families if family.name == "sitefleet_requests"]
    assert FORGED in {sample.labels["site"] for sample in requests.samples}
    assert "forged" not in {sample.name for sample in requests.samples}
