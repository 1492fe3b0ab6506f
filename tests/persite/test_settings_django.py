"""Which of Django's settings can be per site: proven, A and B and A again, in one process.

A setting is per site where each site sees its own value in what Django does, whoever came first.
The others are in the table with the reason; where that is cheap to see, it is seen here.
"""

import re
from datetime import datetime, timedelta
from pathlib import Path

import django
import pytest
from django.conf import global_settings, settings
from django.contrib import messages
from django.contrib.auth import hashers, password_validation
from django.contrib.auth import views as auth
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core import mail
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.cache import UpdateCacheMiddleware
from django.middleware.csrf import get_token
from django.middleware.security import SecurityMiddleware
from django.test import override_settings
from django.urls import include, path
from django.utils import formats, timezone, translation
from django.utils.translation import trans_real
from django.views import View

from sitefleet.current import active_site_id, override_site
from sitefleet.django_settings import FROZEN, PER_SITE, TABLE
from sitefleet.following import follow, stop_following
from sitefleet.kinds import KINDS
from sitefleet.registry import add_site, configure_site
from sitefleet.test import client_for

MIDDLEWARE = [
    "sitefleet.middleware.SiteMiddleware",
    "sitefleet.persite.locale.SiteLocaleMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
DEFAULT_STORAGE = "django.contrib.messages.storage.fallback.FallbackStorage"
SESSION_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
#: What a declaration needs beside the name.
SPECS = {
    "CSRF_FAILURE_VIEW": {
        "type": "choice",
        "choices": [f"{__name__}.teapot", "django.views.csrf.csrf_failure"],
    },
    "MESSAGE_STORAGE": {"type": "choice", "choices": [DEFAULT_STORAGE, SESSION_STORAGE]},
}
if django.VERSION < (6, 0):
    SPECS |= {name: {"field": "django.forms.JSONField"} for name in ("MANAGERS",)}
ADDED_IN_6 = {"SECURE_CSP", "SECURE_CSP_REPORT_ONLY"}


def teapot(request, reason=""):
    return HttpResponse(status=418)


def use(request):
    """Use a session, a token and messages, as the query says."""
    if "session" in request.GET:
        request.session["used"] = True
    if "token" in request.GET:
        get_token(request)
    for level in request.GET.getlist("message"):
        messages.add_message(request, int(level), "said")
    return JsonResponse(
        {
            "messages": len(messages.get_messages(request)) if "hear" in request.GET else None,
            "language": translation.get_language(),
            "zone": timezone.get_current_timezone_name(),
            "fields": len(request.POST) + len(request.FILES) if request.method == "POST" else None,
        }
    )


class Mixin(LoginRequiredMixin, View):
    pass


class Urls:
    urlpatterns = [
        path("use/", use),
        path("members/", login_required(use)),
        path("mixin/", Mixin.as_view()),
        path("login/", auth.LoginView.as_view(template_name="admin/login.html")),
        path("logout/", auth.LogoutView.as_view()),
        path("i18n/", include("django.conf.urls.i18n")),
    ]


class Proof:
    """What Django does on a site."""

    def __init__(self, site):
        self.site = site

    @property
    def client(self):
        return client_for(self.site)

    def get(self, url="/use/", **kwargs):
        return self.client.get(url, **kwargs)

    def mailed(self, send):
        mail.outbox.clear()
        with override_site(self.site):
            send()
        return mail.outbox[0]

    def age(self, cookie, response):
        return response.cookies[cookie]["max-age"]


PROOFS = {}


def proof(name, value, other, *, seen=None):
    """Register a function: on the site with the first value it sees the first, and so on."""

    def register(function):
        PROOFS[name] = (value, other, seen or (value, other), function)
        return function

    return register


_LIST = ["a@a.org"], ["b@b.org"]
if django.VERSION < (6, 0):
    _LIST = [["A", "a@a.org"]], [["B", "b@b.org"]]


@proof("MANAGERS", *_LIST, seen=(["a@a.org"], ["b@b.org"]))
def _(site):
    return site.mailed(lambda: mail.mail_managers("s", "b")).to


@proof("DEFAULT_FROM_EMAIL", "a@a.org", "B <b@b.org>")
def _(site):
    return site.mailed(lambda: mail.send_mail("s", "b", None, ["x@x.org"])).from_email


@proof("SERVER_EMAIL", "a@a.org", "B <b@b.org>")
def _(site):
    with override_settings(ADMINS=_LIST[0]):
        return site.mailed(lambda: mail.mail_admins("s", "b")).from_email


@proof("EMAIL_SUBJECT_PREFIX", "[A] ", "", seen=("[A] s", "s"))
def _(site):
    with override_settings(ADMINS=_LIST[0]):
        return site.mailed(lambda: mail.mail_admins("s", "b")).subject


@proof("EMAIL_USE_LOCALTIME", True, False)
def _(site):
    with timezone.override("Asia/Kolkata"), override_site(site.site):
        date = str(mail.EmailMessage("s", "b", to=["x@x.org"]).message()["Date"])
    return not date.endswith("0000")


@proof("LANGUAGE_CODE", "de", "fr")
def _(site):
    return site.get().json()["language"]


@proof("TIME_ZONE", "Africa/Accra", "Asia/Kolkata")
def _(site):
    return site.get().json()["zone"]


@proof("LANGUAGE_COOKIE_AGE", 100, 200)
def _(site):
    response = site.client.post("/i18n/setlang/", {"language": "de", "next": "/use/"})
    return site.age("django_language", response)


@proof("APPEND_SLASH", True, False, seen=(301, 404))
def _(site):
    return site.get("/use").status_code


@proof("X_FRAME_OPTIONS", "SAMEORIGIN", "DENY")
def _(site):
    return site.get()["X-Frame-Options"]


@proof("LOGIN_URL", "/a/", "https://login.example.org/b/")
def _(site):
    seen = {site.get(url)["Location"].partition("?")[0] for url in ("/members/", "/mixin/")}
    with override_settings(
        MIDDLEWARE=[*MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    ):
        seen.add(site.get("/use/")["Location"].partition("?")[0])
    (url,) = seen
    return url


@proof("LOGIN_REDIRECT_URL", "/a/", "/b/")
def _(site):
    User.objects.get_or_create(username="anna", defaults={"password": "md5$s$x"})
    anna = User.objects.get(username="anna")
    anna.set_password("secret")
    anna.save()
    return site.client.post("/login/", {"username": "anna", "password": "secret"})["Location"]


@proof("LOGOUT_REDIRECT_URL", "/a/", "/b/")
def _(site):
    return site.client.post("/logout/")["Location"]


@proof("PASSWORD_RESET_TIMEOUT", 50, 500, seen=(False, True))
def _(site):
    class Tokens(PasswordResetTokenGenerator):
        now = datetime.now()  # noqa: DTZ005 - as Django has it

        def _now(self):
            return self.now

    tokens, user = Tokens(), User(pk=1, password="x")
    with override_site(site.site):
        token = tokens.make_token(user)
        tokens.now += timedelta(seconds=100)
        return tokens.check_token(user, token)


@proof("SESSION_COOKIE_AGE", 100, 200)
def _(site):
    return site.age("sessionid", site.get("/use/?session"))


@proof("SESSION_EXPIRE_AT_BROWSER_CLOSE", True, False, seen=("", 1209600))
def _(site):
    return site.age("sessionid", site.get("/use/?session"))


@proof("SESSION_SAVE_EVERY_REQUEST", True, False)
def _(site):
    client = site.client
    client.get("/use/?session")
    return "sessionid" in client.get("/use/").cookies


@proof("CSRF_FAILURE_VIEW", f"{__name__}.teapot", "django.views.csrf.csrf_failure", seen=(418, 403))
def _(site):
    return client_for(site.site, enforce_csrf_checks=True).post("/use/").status_code


@proof("CSRF_COOKIE_AGE", 100, 200)
def _(site):
    return site.age("csrftoken", site.get("/use/?token"))


@proof("CSRF_HEADER_NAME", "HTTP_X_A", "HTTP_X_B", seen=([200, 403], [403, 200]))
def _(site):
    client = client_for(site.site, enforce_csrf_checks=True)
    token = client.get("/use/?token").cookies["csrftoken"].value
    return [client.post("/use/", headers={name: token}).status_code for name in ("x-a", "x-b")]


@proof("CSRF_USE_SESSIONS", True, False)
def _(site):
    return "csrftoken" not in site.get("/use/?token").cookies


@proof("DATA_UPLOAD_MAX_MEMORY_SIZE", 10, 10_000, seen=(400, 200))
def _(site):
    return site.client.post("/use/", {"a": "b" * 100}).status_code


@proof("DATA_UPLOAD_MAX_NUMBER_FIELDS", 2, 100, seen=(400, 200))
def _(site):
    return site.client.post("/use/", dict.fromkeys("abcde", "1")).status_code


@proof("DATA_UPLOAD_MAX_NUMBER_FILES", 1, 100, seen=(400, 200))
def _(site):
    files = {name: SimpleUploadedFile(name, b"x") for name in "ab"}
    return site.client.post("/use/", files).status_code


@proof("USE_THOUSAND_SEPARATOR", True, False, seen=("1,234,567", "1234567"))
def _(site):
    with override_site(site.site), translation.override("en"):
        return formats.number_format(1234567)


@proof("MESSAGE_LEVEL", messages.DEBUG, messages.ERROR, seen=(3, 1))
def _(site):
    client = site.client
    client.get("/use/?message=10&message=20&message=40")
    return client.get("/use/?hear").json()["messages"]


@proof("MESSAGE_STORAGE", SESSION_STORAGE, DEFAULT_STORAGE, seen=("sessionid", "messages"))
def _(site):
    (cookie,) = site.get("/use/?message=40").cookies
    return cookie


def csp(site, header):
    middleware = [*MIDDLEWARE, "django.middleware.csp.ContentSecurityPolicyMiddleware"]
    with override_settings(MIDDLEWARE=middleware):
        return site.get()[header]


POLICIES = {"default-src": ["'self'"]}, {"img-src": ["https:"]}
HEADERS = "default-src 'self'", "img-src https:"


@proof("SECURE_CSP", *POLICIES, seen=HEADERS)
def _(site):
    return csp(site, "Content-Security-Policy")


@proof("SECURE_CSP_REPORT_ONLY", *POLICIES, seen=HEADERS)
def _(site):
    return csp(site, "Content-Security-Policy-Report-Only")


# --- the tests ---------------------------------------------------------------


@pytest.fixture
def pair(db):
    """Two sites, which are to have values of their own."""
    with override_settings(ROOT_URLCONF=Urls, MIDDLEWARE=MIDDLEWARE):
        yield add_site("a", domain="a.example.org"), add_site("b", domain="b.example.org")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.django(6, 0)] if name in ADDED_IN_6 else [])
        for name in PROOFS
    ],
)
def test_each_site_sees_its_own_value_in_what_django_does(pair, name):
    *values, expected, observe = PROOFS[name]
    declared = {"FRESHNESS": 0.0, "SITE_SETTINGS": {name: SPECS.get(name, {})}}
    with override_settings(SITEFLEET=declared):
        for site, value in zip(pair, values, strict=True):
            configure_site(site, settings={name: value})
        for index in (0, 1, 0, 1):
            seen = observe(Proof(pair[index]))
            wanted = expected[index]
            assert seen == wanted


def test_each_setting_that_the_table_calls_per_site_is_proven():
    assert {name for name, row in TABLE.items() if row.verdict == PER_SITE} == PROOFS.keys()


def test_the_table_has_each_setting_of_this_django():
    names = {name for name in dir(global_settings) if name.isupper()}
    assert names - TABLE.keys() == set()


def test_the_table_has_each_setting_that_django_reads_anywhere():
    pattern = re.compile(r'\bsettings(?:\.|, *")([A-Z][A-Z0-9_]+)\b')
    names = set()
    for source in Path(django.__file__).parent.rglob("*.py"):
        if "locale" not in source.parts and "test" not in source.parts:
            names |= set(pattern.findall(source.read_text("utf-8")))
    only_in_comments = {"MIGRATION_MODULE", "NAME", "DATABASE_ENGINE"}
    assert names - TABLE.keys() - only_in_comments == set()
    assert len(names) > 100


def test_each_row_says_why_and_those_that_cannot_say_what_to_do():
    for name, row in TABLE.items():
        assert row.why, name
        assert row.way or row.verdict == PER_SITE, name


def tables():
    """Return the tables of docs/follow/settings.md, to be put there when they have changed."""
    can = ["| setting | type | Django reads it |", "| --- | --- | --- |"]
    cannot = ["| setting | | why | what to do |", "| --- | --- | --- | --- |"]
    groups = {}
    for name, row in TABLE.items():
        if row.verdict == PER_SITE:
            types = DOCUMENTED_TYPES.get(name, row.types)
            can.append(f"| `{name}` | {', '.join(f'`{kind}`' for kind in types)} | {row.why} |")
        else:
            groups.setdefault(row, []).append(name)
    for row, names in groups.items():
        listed = ", ".join(f"`{name}`" for name in names)
        cannot.append(f"| {listed} | {row.verdict} | {row.why} | {row.way} |")
    return "\n".join(can), "\n".join(cannot)


#: In the docs it is what the newest Django wants.
DOCUMENTED_TYPES = {"MANAGERS": ("list",)}
PAGE = Path(__file__).parents[2] / "docs/follow/settings.md"


def test_the_docs_show_the_table():
    shown = PAGE.read_text("utf-8")
    for table in tables():
        assert table in shown


def test_the_docs_show_the_types_and_their_keys():
    rows = PAGE.read_text("utf-8").partition("| type | value |")[2].partition("\n\n")[0]
    cells = [row.split("|") for row in rows.splitlines() if row.count("|") == 4]
    for name, kind in KINDS.items():
        (keys,) = [cell[3] for cell in cells if f"`{name}`" in cell[1]]
        assert set(re.findall(r"`(\w+)`", keys)) == set(kind.options)


# --- frozen ------------------------------------------------------------------


FROZEN_VALUES = {
    "DATE_FORMAT": ("Y", "m"),
    "LANGUAGES": ([("de", "A")], [("fr", "B")]),
    "AUTH_PASSWORD_VALIDATORS": (
        [],
        [{"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"}],
    ),
    "PASSWORD_HASHERS": (
        ["django.contrib.auth.hashers.MD5PasswordHasher"],
        ["django.contrib.auth.hashers.PBKDF2PasswordHasher"],
    ),
    "FORMAT_MODULE_PATH": (None, ["django.conf.locale"]),
    "FILE_UPLOAD_PERMISSIONS": (0o600, 0o640),
    "SECURE_REFERRER_POLICY": ("no-referrer", "origin"),
    "CACHE_MIDDLEWARE_SECONDS": (10, 20),
}


def look_at(name):
    """Return a function that tells what Django makes of a setting in this process."""
    storage = FileSystemStorage()
    middleware = SecurityMiddleware(teapot)
    cache = UpdateCacheMiddleware(teapot)
    return {
        "DATE_FORMAT": lambda: formats.get_format("DATE_FORMAT", use_l10n=False),
        "LANGUAGES": lambda: dict(trans_real.get_languages()),
        "AUTH_PASSWORD_VALIDATORS": password_validation.get_default_password_validators,
        "PASSWORD_HASHERS": lambda: [hasher.algorithm for hasher in hashers.get_hashers()],
        "FORMAT_MODULE_PATH": lambda: list(formats.get_format_modules("en-au")),
        "FILE_UPLOAD_PERMISSIONS": lambda: storage.file_permissions_mode,
        "SECURE_REFERRER_POLICY": lambda: middleware(HttpRequest())["Referrer-Policy"],
        "CACHE_MIDDLEWARE_SECONDS": lambda: cache.cache_timeout,
    }[name]


def forget():
    formats.reset_format_cache()
    trans_real.get_languages.cache_clear()
    password_validation.get_default_password_validators.cache_clear()
    hashers.get_hashers.cache_clear()


@pytest.mark.parametrize("name", FROZEN_VALUES)
def test_a_frozen_setting_is_for_all_sites_what_it_was_for_the_first(site, other_site, name):
    values = dict(zip((site.pk, other_site.pk), FROZEN_VALUES[name], strict=True))
    assert TABLE[name].verdict == FROZEN
    seen = {}
    forget()
    follow(name, lambda _: values[active_site_id() or site.pk])
    try:
        look = look_at(name)
        for each in (site, other_site):
            with override_site(each):
                assert getattr(settings, name) == values[each.pk]
                seen[each] = look()
        assert seen[site] == seen[other_site]
        forget()
        look = None
        with override_site(other_site):
            assert look_at(name)() != seen[site]
    finally:
        stop_following(name)
        forget()
