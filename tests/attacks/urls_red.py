"""The URLconf of the red site."""

from django.urls import path

from tests.attacks import views
from tests.attacks.urls import common

urlpatterns = [path("red/where/", views.look, name="where"), *common]
