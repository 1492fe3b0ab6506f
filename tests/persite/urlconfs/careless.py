"""Imports well, and is wrong in each way that Django's own checks find."""

from django.urls import include, path

from tests.persite.urlconfs import pages


def handler404():
    """Take too few arguments."""


urlpatterns = [
    path("/slash/", pages.where),
    path("a/", include(([], "twice"))),
    path("b/", include(([], "twice"))),
]
