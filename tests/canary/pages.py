"""A small site of articles, and the ways in which it may show those of another."""

from django.core import mail
from django.core.cache import cache
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.html import format_html_join

from tests.news.models import Article

#: Names of the leaks that are open.
leaks = set()


def articles(name):
    return Article.objects.all() if name in leaks else Article.on_site.all()


def front(request):
    found = articles("front")
    links = format_html_join(
        "", '<a href="{}">{}</a>', ((row.get_absolute_url(), row.title) for row in found)
    )
    return HttpResponse(f'{links}<a href="https://elsewhere.example/">away</a>')


def detail(request, pk):
    return HttpResponse(get_object_or_404(articles("detail"), pk=pk).title)


def api(request):
    return JsonResponse({"titles": list(articles("json").values_list("title", flat=True))})


def redirect(request):
    titles = articles("header").values_list("title", flat=True)
    return HttpResponse(headers={"X-Titles": ", ".join(titles)})


def letter(request):
    titles = articles("mail").values_list("title", flat=True)
    mail.send_mail("News", "\n".join(titles), "from@example.org", ["to@example.org"])
    return HttpResponse("sent")


def fragment(request):
    key = "fragment" if "cache" in leaks else f"fragment-{request.site.pk}"
    titles = articles("").values_list("title", flat=True)
    return HttpResponse(cache.get_or_set(key, lambda: ", ".join(titles)))


def stream(request):
    return StreamingHttpResponse(row.title for row in articles("stream"))


def fail(request):
    if "error" in leaks:
        message = "on purpose"
        raise RuntimeError(message)
    return HttpResponse("fine")


def members(request):
    titles = articles("members").values_list("title", flat=True)
    return HttpResponse(", ".join(titles) if request.user.is_authenticated else "log in")


urlpatterns = [
    path("", front, name="front"),
    path("news/<int:pk>/", detail, name="detail"),
    path("api/", api, name="api"),
    path("header/", redirect, name="header"),
    path("letter/", letter, name="letter"),
    path("fragment/", fragment, name="fragment"),
    path("stream/", stream, name="stream"),
    path("fail/", fail, name="fail"),
    path("members/", members, name="members"),
]
