"""An admin of the rooms, as a third party would write it: nothing in it knows of sites."""

from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.urls import path
from django.views.generic import DetailView

from tests.rooms.models import Big, Booking, Building, Hall, Key, Notice, Person, Room, Tag


class RoomInline(admin.TabularInline):
    model = Room
    fields = ["name", "tag"]
    extra = 1


class BookingInline(admin.StackedInline):
    model = Booking
    extra = 1


class KeyInline(admin.TabularInline):
    model = Key
    fk_name = "room"
    extra = 1


class BuildingAdmin(admin.ModelAdmin):
    search_fields = ["name"]
    ordering = ["name"]
    inlines = [RoomInline]


class RoomAdmin(admin.ModelAdmin):
    list_display = ["name", "size", "building"]
    list_editable = ["size"]
    list_filter = ["building", "tag", "tags", ("owner", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["building"]
    search_fields = ["name", "building__name"]
    autocomplete_fields = ["building"]
    raw_id_fields = ["tag"]
    filter_horizontal = ["tags"]
    inlines = [BookingInline, KeyInline]
    view_on_site = staticmethod(lambda room: f"/rooms/{room.pk}/")


class BookingAdmin(admin.ModelAdmin):
    list_display = ["code", "room"]
    list_display_links = ["code"]
    radio_fields = {"room": admin.VERTICAL}


class PersonAdmin(admin.ModelAdmin):
    search_fields = ["name"]


site = admin.AdminSite(name="rooms")
site.register(Building, BuildingAdmin)
site.register([Room, Big], RoomAdmin)
site.register(Booking, BookingAdmin)
site.register([Person, Tag], PersonAdmin)
site.register([Hall, Notice, Key, ContentType])

urlpatterns = [
    path("admin/", site.urls),
    path("rooms/<int:pk>/", DetailView.as_view(model=Room, template_name="404.html")),
]
