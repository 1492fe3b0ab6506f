"""Pages about rooms, written as if there were but one site: none of them names any."""

import json

from django.contrib.sitemaps import Sitemap
from django.contrib.sitemaps.views import sitemap
from django.contrib.syndication.views import Feed
from django.core.paginator import Paginator
from django.core.serializers import serialize
from django.db import connection, transaction
from django.db.models import Avg, Count, Exists, F, OuterRef, Subquery
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.views import generic
from rest_framework import permissions, renderers, serializers, viewsets

from sitefleet.scoping import cross_site
from tests.rooms.models import Booking, Building, Hall, Key, Person, Room, Tag

#: Made when the module is imported, under no site. What is asked of it is asked of a copy: one that
#: has been iterated keeps its rows, for whoever iterates it again.
everything = Room._base_manager.order_by("pk")
names = everything.values_list("name", flat=True)


class AsJson:
    """Shows what a template could show."""

    template_name = None

    def render_to_response(self, context, **options):
        form = context.get("form")
        shown = {
            "rows": [str(row) for row in context.get("object_list") or ()],
            "row": str(context.get("object") or ""),
        }
        if hasattr(form, "errors"):
            shown["errors"] = form.errors
            shown["form"] = form.as_p()
        return JsonResponse(shown, status=400 if shown.get("errors") else 200)


class Rooms(AsJson, generic.ListView):
    queryset = everything


class Detail(AsJson, generic.DetailView):
    model = Room


class Form(AsJson):
    model = Room
    fields = ("name", "building", "tags", "neighbours")
    success_url = "/look/"


class Create(Form, generic.CreateView):
    pass


class Change(Form, generic.UpdateView):
    pass


class Delete(AsJson, generic.DeleteView):
    model = Room
    success_url = "/look/"


class RoomSerializer(serializers.ModelSerializer):
    class Meta:
        model = Room
        fields = ("id", "site", "name", "building", "tags")
        extra_kwargs = {"tags": {"required": False}}


class Api(viewsets.ModelViewSet):
    queryset = everything
    serializer_class = RoomSerializer
    authentication_classes = ()
    permission_classes = (permissions.AllowAny,)
    renderer_classes = (renderers.JSONRenderer,)


class Pages(Sitemap):
    def items(self):
        return everything.all()

    def location(self, item):
        return f"/rooms/{item.pk}/{item.name}/"


class News(Feed):
    link, title = "/", "Rooms"

    def items(self):
        return everything.all()

    def item_link(self, item):
        return f"/rooms/{item.pk}/"


def report(request):
    """Ask in all the ways in which filters are forgotten."""
    guests = Person.objects.filter(visited__isnull=False)
    in_union = Room.objects.values_list("name").union(Building._base_manager.values_list("name"))
    subquery = Room._base_manager.filter(pk=OuterRef("room")).values("name")
    return JsonResponse(
        {
            "names": list(names.all()),
            "count": everything.count(),
            "exists": [Room.objects.filter(name=f"{n}-room").exists() for n in ("One", "Two")],
            "aggregate": Room.objects.aggregate(n=Count("pk"), size=Avg("size")),
            "join": list(guests.values_list("visited__name", flat=True)),
            "reverse": [str(r) for p in Person.objects.all() for r in p.visited.all()],
            "prefetch": [
                str(r) for p in Person.objects.prefetch_related("rooms") for r in p.rooms.all()
            ],
            "related": [str(k.room) for k in Key.objects.select_related("room")],
            "annotated": sum(p.n for p in Person.objects.annotate(n=Count("rooms"))),
            "through": list(Room.tags.through.objects.values_list("tag__name", flat=True)),
            "union": sorted(name for (name,) in in_union),
            "subquery": [k.r for k in Key.objects.annotate(r=Subquery(subquery)) if k.r],
            "where": Person.objects.filter(
                Exists(Room._base_manager.filter(owner=OuterRef("pk")))
            ).count(),
            "child": [str(hall) for hall in Hall._base_manager.all()],
            "dates": list(Booking._base_manager.values_list("code", flat=True).distinct()),
            "last": str(Room.objects.last()),
            "bulk": sorted(map(str, Room.objects.in_bulk(range(1, 200)).values())),
            "serialized": serialize("json", everything.all()),
            "either": [str(r) for r in Room.objects.filter(name="x") | Room.objects.exclude(pk=0)],
            "page": [str(room) for room in Paginator(everything.all(), 100).page(1)],
        }
    )


async def async_report(request):
    return JsonResponse(
        {
            "iterated": [room.name async for room in everything.all()],
            "count": await everything.acount(),
            "joined": [
                name
                async for name in Person.objects.filter(visited__size=F("visited__size"))
                .values_list("visited__name", flat=True)
                .aiterator()
            ],
            "tags": [tag.name async for tag in Tag.objects.filter(tagged__isnull=False).distinct()],
            "last": str(await Room._base_manager.alast()),
        }
    )


def raw(request):
    """Look past the guard: by SQL."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM rooms_room")
        return JsonResponse({"rows": cursor.fetchall()})


def stream(request):
    return StreamingHttpResponse(f"{room.name}\n" for room in everything.iterator(chunk_size=1))


async def async_stream(request):
    async def lines():
        async for room in everything.aiterator(chunk_size=1):
            yield f"{room.name}\n"

    return StreamingHttpResponse(lines())


#: What `crossing` has entered and never left; the interpreter would leave for it.
entered = []


def crossing(request, end):
    """Cross, and clean up nothing, or fail inside."""
    if end == "fail":
        with cross_site("a report"):
            message = f"{Room.objects.count()} rooms"
            raise RuntimeError(message)
    if end == "stream":

        def lines():
            with cross_site("a report"):
                for room in everything.all():
                    yield f"{room.name}\n"

        return StreamingHttpResponse(lines())
    if end == "async-stream":

        async def async_lines():
            async with cross_site("a report"):
                async for room in everything.all():
                    yield f"{room.name}\n"

        return StreamingHttpResponse(async_lines())
    entered.append(cross_site("a report"))
    entered[-1].__enter__()
    return HttpResponse(f"{Room.objects.count()}")


def look_up(request):
    return HttpResponse(get_object_or_404(Room, name=request.GET.get("name")).name)


def attack(request):
    """Write what a visitor says, without any look at it."""
    wanted = json.loads(request.body)
    model = {"room": Room, "booking": Booking, "key": Key, "hall": Hall}[wanted["model"]]
    rows = model._base_manager.filter(**wanted.get("filter", {}))
    with transaction.atomic():
        done = getattr(rows, wanted["method"])(**wanted.get("values", {}))
    return JsonResponse({"done": str(done)})


#: With the key of a room: the same pages, for any row there is.
OF_ONE = [
    path("rooms/<int:pk>/", Detail.as_view()),
    path("rooms/<int:pk>/change/", Change.as_view()),
    path("rooms/<int:pk>/delete/", Delete.as_view()),
    path(
        "rooms/api/<int:pk>/",
        Api.as_view(
            {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
        ),
    ),
]
OF_ALL = [
    path("rooms/", Rooms.as_view(), name="rooms"),
    path("rooms/new/", Create.as_view(), name="rooms-new"),
    path("rooms/api/", Api.as_view({"get": "list", "post": "create"}), name="rooms-api"),
    path("rooms/feed/", News(), name="rooms-feed"),
    path("rooms/sitemap.xml", sitemap, {"sitemaps": {"rooms": Pages}}, name="rooms-sitemap"),
    path("rooms/report/", report, name="rooms-report"),
    path("rooms/async-report/", async_report, name="rooms-async-report"),
]
urlpatterns = [
    *OF_ALL,
    *OF_ONE,
    path("rooms/raw/", raw),
    path("rooms/stream/", stream),
    path("rooms/async-stream/", async_stream),
    path("rooms/crossing/<end>/", crossing),
    path("rooms/by-name/", look_up),
    path("rooms/attack/", attack),
]
