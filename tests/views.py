"""Views that tell under which site they run: sync, async, streaming, with threads, with cookies."""

import asyncio
import random
import tempfile
import threading

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib import messages
from django.contrib.sites.models import Site
from django.contrib.sites.shortcuts import get_current_site
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.templatetags.static import static
from django.urls import get_script_prefix, reverse

from sitefleet import carry_site, get_current_site_id
from sitefleet.addresses import site_url
from sitefleet.current import active_site_id

#: What streams say of themselves when they are closed: the site, by the path asked for.
closed = {}


def report(request):
    return {
        "id": get_current_site_id(),
        "setting": settings.SITE_ID,
        "request": request.site.pk,
        "django": Site.objects.get_current().pk,
        "shortcut": get_current_site(request).pk,
        "domain": Site.objects.get_current(request).domain,
        "host": request.get_host(),
        "path": request.path,
        "path_info": request.path_info,
    }


def site(request):
    return JsonResponse(report(request))


async def async_site(request):
    return JsonResponse(report(request))


def fail(request):
    message = f"on purpose, on site {get_current_site_id()}"
    raise RuntimeError(message)


async def async_fail(request):
    await asyncio.sleep(0)
    fail(request)


def stream(request):
    def body():
        try:
            for _ in range(3):
                yield f"{get_current_site_id()} {settings.SITE_ID} {reverse('site')}\n"
        finally:
            closed[request.path] = active_site_id()

    return StreamingHttpResponse(body())


async def async_stream(request):
    async def body():
        try:
            for _ in range(3):
                yield f"{get_current_site_id()} {settings.SITE_ID} {reverse('site')}\n"
                await asyncio.sleep(0)
        finally:
            closed[request.path] = active_site_id()

    return StreamingHttpResponse(body())


def file(request):
    content = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    content.write(b"bytes")
    content.seek(0)
    return FileResponse(content)


async def wander(request):
    """Wait here and there, in tasks and threads, and tell which sites were seen."""
    seen = [get_current_site_id()]

    async def look():
        await asyncio.sleep(random.random() / 500)  # noqa: S311 - a wait, no secret
        seen.append(get_current_site_id())
        seen.append(settings.SITE_ID)

    await look()
    await asyncio.gather(look(), look())
    if random.random() < 0.1:  # noqa: S311
        seen.append(await sync_to_async(get_current_site_id)())
        seen.append(await sync_to_async(get_current_site_id, thread_sensitive=False)())
    await look()
    return JsonResponse({"seen": sorted(set(seen)), "request": request.site.pk})


async def wait(request):
    """Wait until somebody cancels this, and tell the site of the clean-up."""
    try:
        closed[request.path] = "waiting"
        await asyncio.sleep(60)
    finally:
        closed[request.path] = active_site_id()


def threads(request):
    seen = {}

    def look(name):
        seen[name] = active_site_id()

    started = [
        threading.Thread(target=look, args=["plain"]),
        threading.Thread(target=carry_site(look), args=["carried"]),
    ]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return JsonResponse(seen)


def links(request):
    """Tell all kinds of addresses, relative and absolute."""
    return JsonResponse(
        {
            "reverse": reverse("site"),
            "static": static("a.css"),
            "media": settings.MEDIA_URL,
            "script_name": request.META["SCRIPT_NAME"],
            "prefix": get_script_prefix(),
            "absolute": request.build_absolute_uri(),
            "site_url": site_url(request.site, reverse("site")),
        }
    )


def cookies(request):
    """Use every cookie that Django has; tell what came in."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    get_token(request)
    heard = [str(message) for message in messages.get_messages(request)]
    if "say" in request.GET:
        messages.info(request, request.GET["say"])
    return JsonResponse(
        {
            "visits": request.session["visits"],
            "user": request.user.get_username(),
            "language": request.LANGUAGE_CODE,
            "messages": heard,
        }
    )


def posted(request):
    return HttpResponse("posted")
