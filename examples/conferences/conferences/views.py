"""Wafer's lists of users, with those who take part in the current conference."""

from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet
from wafer.users import views

from conferences.people import people


class PeopleView(views.UsersView):
    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[User]:
        return super().get_queryset(*args, **kwargs).filter(people()).distinct()


class PersonView(views.ProfileView):
    def get_queryset(self) -> QuerySet[User]:
        visitor = getattr(self, "request", None) and self.request.user
        oneself = [visitor] if visitor and visitor.is_authenticated else []
        return super().get_queryset().filter(people(*oneself)).distinct()


class UserViewSet(views.UserViewSet):
    def get_queryset(self) -> QuerySet[User]:
        return super().get_queryset().filter(people(self.request.user)).distinct()
