"""An API of the rooms, as people write them: querysets are made when the module is imported."""

from copy import copy

from django.core.exceptions import ValidationError
from django.urls import include, path
from rest_framework import pagination, permissions, routers, serializers, viewsets

from tests.rooms.models import Booking, Building, Room, Tag


class RoomSerializer(serializers.ModelSerializer):
    class Meta:
        model = Room
        fields = ["id", "name", "size", "building", "tags"]


class BuildingSerializer(serializers.ModelSerializer):
    rooms = RoomSerializer(many=True, read_only=True)

    class Meta:
        model = Building
        fields = ["id", "name", "rooms"]


class Constrained:
    """Says what is unique on the site: a serializer does not know the field of the site."""

    def validate(self, attrs):
        attrs = super().validate(attrs)
        row = copy(self.instance) or self.Meta.model()
        for name, value in attrs.items():
            if not row._meta.get_field(name).many_to_many:
                setattr(row, name, value)
        try:
            row.validate_unique()
            row.validate_constraints()
        except ValidationError as error:
            raise serializers.ValidationError(error.message_dict) from error
        return attrs


class BookingSerializer(Constrained, serializers.ModelSerializer):
    room = serializers.SlugRelatedField("name", queryset=Room.objects.all())

    class Meta:
        model = Booking
        fields = ["id", "code", "day", "room"]


class TagSerializer(serializers.ModelSerializer):
    class Meta:
        model = Tag
        fields = ["id", "name"]


class Pages(pagination.LimitOffsetPagination):
    default_limit = 10


class View(viewsets.ModelViewSet):
    permission_classes = [permissions.AllowAny]
    authentication_classes = []
    pagination_class = Pages


class RoomView(View):
    queryset = Room.objects.order_by("pk")
    serializer_class = RoomSerializer


class BuildingView(View):
    queryset = Building.objects.order_by("pk").prefetch_related("rooms")
    serializer_class = BuildingSerializer


class BookingView(View):
    queryset = Booking.objects.select_related("room").order_by("pk")
    serializer_class = BookingSerializer


class TagView(View):
    queryset = Tag.objects.order_by("pk")
    serializer_class = TagSerializer


router = routers.SimpleRouter()
router.register("rooms", RoomView)
router.register("buildings", BuildingView)
router.register("bookings", BookingView)
router.register("tags", TagView)
urlpatterns = [path("api/", include(router.urls))]
