from django.contrib.sites.models import Site
from django.http import JsonResponse

from sitefleet import get_current_site_id


def report(request):
    return {
        "id": get_current_site_id(),
        "django": Site.objects.get_current().pk,
        "domain": Site.objects.get_current(request).domain,
        "host": request.get_host(),
        "path": request.path,
        "path_info": request.path_info,
    }


def site(request):
    return JsonResponse(report(request))


async def async_site(request):
    return JsonResponse(report(request))
