"""Views that tell which URLconf they live in, by every way in which Django answers that."""

import threading

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpResponse, JsonResponse
from django.template import Context, Template
from django.urls import (
    get_resolver,
    get_urlconf,
    is_valid_path,
    resolve,
    reverse,
    reverse_lazy,
    translate_url,
)
from django.utils.translation import get_language

from sitefleet import activate, carry_site, override_site
from sitefleet.addresses import site_reverse

LAZY = reverse_lazy("where")
TAG = Template("{% url 'where' %}")
#: The site that `elsewhere` looks at from within a request; tests set it.
elsewhere_site = []


def ways():
    """Tell where the view `where` is, by all ways at once."""
    return {
        "reverse": reverse("where"),
        "lazy": str(LAZY),
        "tag": TAG.render(Context()),
        "resolved": reverse(resolve(reverse("where")).url_name),
        "valid": reverse("where") if is_valid_path(reverse("where")) else "",
        "resolver": f"/{get_resolver().reverse('where')}",
        "translated": translate_url(reverse("where"), get_language()),
    }


def where(request):
    return JsonResponse({"setting": settings.ROOT_URLCONF, "asked": request.path, **ways()})


async def async_where(request):
    return where(request)


def once():
    yield reverse("where")


def elsewhere(request):
    """Look at another site in the middle of a request, by each way to enter one."""
    (other,) = elsewhere_site
    before = reverse("where")
    with override_site(other):
        inside = [reverse("where")]
    after = [reverse("where")]
    inside += override_site(other)(once)()
    after += [reverse("where")]
    activate(other)
    inside += [reverse("where")]
    activate(request.site)
    return JsonResponse(
        {
            "before": before,
            "inside": inside,
            "after": [*after, reverse("where")],
            "absolute": site_reverse(other, "where"),
            "own": site_reverse(request.site, "where"),
        }
    )


def activated(request):
    """Activate another site in the middle of a request, and the own one again."""
    seen = [reverse("where")]
    activate(elsewhere_site[0])
    seen.append(reverse("where"))
    activate(request.site)
    return JsonResponse([*seen, reverse("where")], safe=False)


def in_threads(request):
    seen = {"pinned": get_urlconf()}

    def look(name):
        seen[name] = settings.ROOT_URLCONF

    for thread in (
        threading.Thread(target=look, args=["plain"]),
        threading.Thread(target=carry_site(look), args=["carried"]),
    ):
        thread.start()
        thread.join()
    return JsonResponse(seen)


def fail(request, kind):
    errors = {"400": BadRequest, "403": PermissionDenied, "500": RuntimeError}
    raise errors[kind]


def say(status):
    """Return a view for an error."""

    def handler(request, exception=None):
        name = settings.ROOT_URLCONF.rpartition(".")[2]
        return HttpResponse(f"{status} in {name}", status=status)

    return handler
