"""A process that makes all it has loaded immortal, forks, and works: see `test_immortal`.

Writes a line for each thing that went well. Child and parent end as Python ends, not by `os._exit`.
"""

import asyncio
import atexit
import copy
import functools
import gc
import importlib
import json
import os
import pickle
import string
import sys
import tempfile
import threading
import time
import types
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import django
from django.conf import settings

from sitefleet.hosting.zygote.immortal import is_possible, make_immortal

ROUNDS, SETTLED = 8, 4
FOLDER = Path(tempfile.mkdtemp(prefix="sf"))
APPS = ("admin", "auth", "contenttypes", "sessions", "messages", "sites")
TEMPLATE = (
    "{% load i18n l10n %}{% for row in rows %}{% if forloop.first %}{% trans 'Yes' %}{% endif %}"
    "{{ row.name|upper|truncatechars:5 }}{{ row.size|floatformat:2 }}{% cycle 1 2 %}{% endfor %}"
)
settings.configure(
    SECRET_KEY="x" * 50,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="tests.acceptance.immortal_urls",
    INSTALLED_APPS=[*(f"django.contrib.{name}" for name in APPS), "sitefleet"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "db.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    SITE_ID=1,
    USE_TZ=True,
)
django.setup()

from django import forms  # noqa: E402 - after the setup
from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, connections, models, transaction  # noqa: E402
from django.template import Context, Template  # noqa: E402
from django.test import AsyncClient, Client  # noqa: E402
from django.utils import translation  # noqa: E402
from django.views import View  # noqa: E402


def say(text, write=os.write):
    write(1, f"{text}\n".encode())


class Closing:
    """Says that it is freed."""

    def __init__(self, text):
        self.text, self.around = text, [text * 2]

    def __del__(self, say=say):
        say(self.text)


class Named:
    pass


def numbers(say=say):
    try:
        yield from range(10)
    finally:
        say("the generator is closed")


@functools.lru_cache(maxsize=20)
def doubled(number):
    return [number, number]


# Of all kinds, made before.
closing, suspended, named, lock = Closing("freed"), numbers(), Named(), threading.RLock()
next(suspended)
kept_file = (FOLDER / "kept").open("w")
kept_file.write("written at the end")
by_name = weakref.WeakValueDictionary({"named": named})
view = memoryview(bytearray(b"some bytes"))
text_kept, bytes_kept, number_kept, pair = "a text " * 3, b"bytes " * 3, 10**12, (1.5, "two")
try:
    json.loads("{")
except ValueError as error:
    caught = error
local = threading.local()
local.value = "of the main thread"
for _ in range(30):
    doubled(_)


def web():
    client = Client()
    user = User.objects.get(username="root")
    client.force_login(user)
    for path in ("/admin/", "/admin/auth/group/", "/admin/auth/user/", "/admin/sites/site/"):
        for language in ("de", "fr", "en"):
            answer = client.get(path, headers={"Accept-Language": language})
            assert answer.status_code == 200, path
    answer = client.post("/admin/auth/group/add/", {"name": f"new {time.time_ns()}"})
    assert answer.status_code == 302, answer.content
    assert client.get("/missing/").status_code == 404
    client.raise_request_exception = False
    assert client.get("/raises/").status_code == 500


def events():
    async def ask():
        answers = await asyncio.gather(*(AsyncClient().get("/async/") for _ in range(5)))
        return [answer.content for answer in answers]

    assert asyncio.run(ask()) == [b"ok"] * 5


def orm():
    with transaction.atomic():
        group = Group.objects.create(name=f"g{time.time_ns()}")
        group.permissions.set(Permission.objects.all()[:5])
        found = Permission.objects.select_related("content_type").filter(group=group)
        assert {p.content_type.app_label for p in found}
        Group.objects.prefetch_related("permissions__content_type").annotate(
            size=models.Count("permissions")
        ).order_by("-size").first()
        Group.objects.filter(pk=group.pk).update(name=models.functions.Upper("name"))
    Group.objects.all().delete()
    session = SessionStore()
    session["a"] = text_kept
    session.save()
    session.delete()


def pages():
    rows = [{"name": f"name {number}", "size": number / 3} for number in range(50)]
    for language in ("de", "fr", "ja", "ar"):
        with translation.override(language):
            assert Template(TEMPLATE).render(Context({"rows": rows}))
            translation.ngettext("%d day", "%d days", 3)

    class Form(forms.ModelForm):
        class Meta:
            model = User
            fields = ("username", "email", "is_staff")

    assert Form().as_p()
    assert not Form({"email": "none"}).is_valid()


def threads():
    def work(number):
        assert not hasattr(local, "value")
        with lock:
            count = User.objects.count()
        connections.close_all()
        return count + number

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(work, range(8)))) == 8


def objects():
    again = pickle.loads(pickle.dumps((text_kept, bytes_kept, pair, number_kept)))  # noqa: S301 - own
    assert again == (text_kept, bytes_kept, pair, number_kept)
    assert copy.deepcopy(settings.TEMPLATES) == settings.TEMPLATES
    text = text_kept
    text += "more"
    assert text_kept == "a text " * 3
    assert sys.intern(text_kept + "x") is sys.intern(text_kept + "x")
    assert sys.intern(text_kept)
    assert next(map("".join, zip(text_kept, text_kept, strict=True))) == "aa"
    assert bytes(view[:4]) == b"some"
    assert [number for number in range(40) if doubled(number) != [number, number]] == []
    assert by_name["named"] is named
    with suppress(RuntimeError):
        raise RuntimeError("again") from caught
    with suppress(ValueError):
        raise caught
    caught.__traceback__ = None
    string.Formatter().format("{0}", 1)

    def sink(depth):
        return sink(depth + 1)

    with suppress(RecursionError):
        sink(0)


def classes():
    before = View.as_view
    for number in range(3):
        View.as_view = staticmethod(lambda number=number: number)
        assert View.as_view() == number
    View.as_view = before
    assert callable(View.as_view())

    class Child(View):
        number = 1

    made = [type(f"Made{number}", (Child,), {"number": number}) for number in range(5)]
    assert [kind().number for kind in made] == list(range(5))
    Named.late = 1
    assert named.late == 1
    del Named.late
    named.__dict__["attribute"] = [1]
    del named.attribute
    importlib.reload(string)
    sys.modules.pop("colorsys", None)
    importlib.import_module("colorsys")
    assert isinstance(types.SimpleNamespace(a=1), types.SimpleNamespace)


def freed():
    global closing, suspended
    closing, suspended = None, None


#: What leaves no threads behind, and what may.
WORK, THREADS = (web, orm, pages, objects, classes), (threads, events)


def child():
    blocks = 0
    for number in range(ROUNDS):
        for work in (*WORK, *THREADS):
            work()
        if number == SETTLED:
            gc.collect()
            blocks = sys.getallocatedblocks()
    gc.collect()
    grown = sys.getallocatedblocks() - blocks
    # The classes made in each round stay in caches of Django's; as many without all this.
    assert grown < 400 * (ROUNDS - SETTLED), f"{grown} blocks more"
    freed()
    gc.unfreeze()
    for _ in range(3):
        gc.collect()
    web()
    say("worked")
    atexit.register(lambda: say("atexit"))
    sys.exit(0)


def main():
    call_command("migrate", verbosity=0)
    User.objects.create_superuser("root", password="x")
    for work in WORK:
        work()
    connection.close()
    gc.collect()
    made = make_immortal()
    assert bool(made) == is_possible()
    gc.freeze()
    pid = os.fork()
    if pid == 0:
        child()
    say(f"child {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")
    atexit.register(lambda: say("atexit of the parent"))


if __name__ == "__main__":
    say(FOLDER)
    main()
