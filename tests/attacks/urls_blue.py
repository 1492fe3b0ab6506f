"""The URLconf of the blue site."""

from django.urls import path

from tests.attacks import views
from tests.attacks.urls import common

urlpatterns = [path("blue/where/", views.look, name="where"), *common]
