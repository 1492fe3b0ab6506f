"""Pages of `tests.acceptance.immortals`."""

from django.contrib import admin
from django.http import HttpResponse
from django.urls import path


async def slowly(request):
    return HttpResponse("ok")


def raises(request):
    raise ZeroDivisionError


urlpatterns = [
    path("admin/", admin.site.urls),
    path("async/", slowly),
    path("raises/", raises),
]
