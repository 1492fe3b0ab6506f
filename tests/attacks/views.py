"""Pages that tell what each part takes for the current site, and pages that attackers like."""

import asyncio
import json
import random
import threading
from contextlib import suppress
from itertools import count

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib import messages
from django.contrib.sites.models import Site
from django.contrib.sites.shortcuts import get_current_site
from django.core import mail, signing
from django.core.cache import cache
from django.core.files.storage import default_storage
from django.db import transaction
from django.http import (
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.middleware.csrf import get_token
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import cache_control

from sitefleet import carry_site, get_current_site_id, override_site
from sitefleet.current import active_site_id
from sitefleet.models import SiteConfig
from sitefleet.persite.storage import sendfile
from sitefleet.registry import add_alias
from tests.attacks import work
from tests.attacks.telling import leave_behind, told
from tests.news.models import Article

numbers = count()
#: The site that `careless` leaves behind; tests set it.
careless_site = []
#: Sites under which streams, and what was cancelled, were closed.
closed = []


def look(request):
    return JsonResponse({**told(), "host": request.get_host(), "domain": request.site.domain})


async def async_look(request):
    return look(request)


def stream(request):
    def body():
        try:
            for _ in range(3):
                yield f"{json.dumps(told())}\n"
        finally:
            closed.append(active_site_id())

    return StreamingHttpResponse(body())


async def async_stream(request):
    async def body():
        try:
            for _ in range(3):
                yield f"{json.dumps(told())}\n"
                await asyncio.sleep(0)
        finally:
            closed.append(active_site_id())

    return StreamingHttpResponse(body())


def broken_stream(request):
    def body():
        yield "first"
        leave_behind(careless_site[0])
        fail(request)

    return StreamingHttpResponse(body())


async def async_broken_stream(request):
    async def body():
        yield "first"
        # URLs die with the context, which servers make for each request.
        leave_behind(careless_site[0], urls=False)
        fail(request)

    return StreamingHttpResponse(body())


def fail(request):
    message = f"on purpose, in {get_current_site_id()}"
    raise RuntimeError(message)


def form(request):
    get_token(request)
    return HttpResponse("a form")


def who(request):
    """Tell the user, and what the session holds; a POST puts something into it."""
    if request.method == "POST":
        request.session["note"] = request.POST.get("note", "")
    heard = [str(message) for message in messages.get_messages(request)]
    if "say" in request.GET:
        messages.info(request, request.GET["say"])
    return JsonResponse(
        {
            "user": request.user.get_username(),
            "note": request.session.get("note", ""),
            "messages": heard,
        }
    )


@cache_control(max_age=60)
def page(request):
    """Be kept by the page cache: the site, and another number each time."""
    return HttpResponse(f"{get_current_site_id()} {next(numbers)}")


@cache_control(max_age=60)
def account(request):
    """Be kept by the page cache, for each visitor."""
    return HttpResponse(
        f"{get_current_site_id()} {request.user.get_username() or 'nobody'} {next(numbers)}"
    )


def fragment(request):
    text = f"{get_current_site_id()} {next(numbers)}"
    return render(request, "fragment.html", {"who": text})


def purge(request):
    cache.clear()
    return HttpResponse("purged")


def cached(request):
    """Let visitors do with the cache whatever they like: methods, with their arguments."""
    calls = json.loads(request.body)
    return JsonResponse(
        [getattr(cache, name)(*rest[:-1], version=rest[-1]) for name, *rest in calls], safe=False
    )


def signed(request):
    """Hand out what the site signs: a link, and a cookie."""
    response = JsonResponse({"link": signing.dumps({"unsubscribe": 7}, salt="letter")})
    response.set_signed_cookie("seat", "1A", salt="seat")
    return response


def opened(request, link):
    """Take such a link, and such a cookie."""
    try:
        found = signing.loads(link, salt="letter")
    except signing.BadSignature:
        found = None
    return JsonResponse({"link": found, "seat": request.get_signed_cookie("seat", "", salt="seat")})


def upload(request):
    given = request.FILES["file"]
    name = default_storage.save(request.POST.get("name") or given.name, given)
    return JsonResponse({"name": name, "url": default_storage.url(name)})


def links(request):
    """Tell where the files of each site are: a portal that shows the pictures of all."""
    found = {}
    for site in Site.objects.exclude(domain="example.com"):
        with override_site(site):
            found[site.pk] = default_storage.url("a.txt")
    return JsonResponse(found)


def invoice(request, name):
    return sendfile(request, name)


def write(request):
    """Send a mail as code does that knows no sites."""
    link = request.build_absolute_uri(reverse("look"))
    body = render_to_string("mail.txt", {"link": link})
    mail.send_mail(f"From {get_current_site(request).name}", body, None, ["ada@example.com"])
    return HttpResponse("sent")


def enqueue(request):
    work.enqueue()
    return HttpResponse("enqueued")


def names(request):
    return render(request, "names.html", {"site": request.site, "motto": settings.MOTTO})


def articles(request):
    return JsonResponse({"titles": [row.title for row in Article.on_site.all()]})


def article(request, pk):
    return HttpResponse(get_object_or_404(Article.on_site, pk=pk).title)


def search(request):
    found = Article.on_site.filter(title__icontains=request.GET.get("q", ""))
    return JsonResponse({"found": [row.title for row in found]})


def away(request):
    """Send visitors where they say, if that is here: as Django has its users do it."""
    wanted, host = request.GET["next"], request.get_host()
    if url_has_allowed_host_and_scheme(wanted, {host}, require_https=request.is_secure()):
        return HttpResponseRedirect(wanted)
    return HttpResponse("no")


def in_threads(request):
    seen = {}

    def ask(name):
        seen[name] = [settings.ROOT_URLCONF, reverse("where")]

    for thread in (
        threading.Thread(target=ask, args=["plain"]),
        threading.Thread(target=carry_site(ask), args=["carried"]),
    ):
        thread.start()
        thread.join()
    return JsonResponse(seen)


async def wander(request):
    """Wait here and there, in tasks and threads, and tell all that was seen."""
    seen = [told()]

    async def look_again():
        await asyncio.sleep(random.random() / 500)  # noqa: S311 - a wait, no secret
        seen.append(told())

    await asyncio.gather(look_again(), look_again())
    seen.append(await sync_to_async(told, thread_sensitive=False)())
    return JsonResponse({"seen": seen})


async def wait(request):
    """Wait until the visitor has left; tell the site of the clean-up."""
    try:
        closed.append("waiting")
        await asyncio.sleep(60)
    finally:
        closed.append(active_site_id())


def careless(request):
    """Leave behind whatever code can leave behind."""
    leave_behind(careless_site[0])
    return HttpResponse("careless")


def fail_elsewhere(request):
    """Fail while another site is entered, and clean up nothing besides."""
    with override_site(careless_site[0]):
        leave_behind()
        fail(request)


def change(request, end):
    """Change the own site in a transaction that comes to nothing."""
    with transaction.atomic():
        SiteConfig.objects.filter(site=request.site).update(theme="blue")
        add_alias(request.site, "new.example", redirect=False)
        cache.clear()
        with override_site(request.site.pk):  # as the transaction sees it
            theme, text = render_to_string("look.html"), fragment(request).content.decode()
        if end == "fail":
            fail(request)
        if end == "savepoint":
            with suppress(RuntimeError), transaction.atomic():
                add_alias(request.site, "newer.example", redirect=False)
                fail(request)
        transaction.set_rollback(True)
    return JsonResponse({"theme": theme, "fragment": text})
