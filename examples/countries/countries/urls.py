from django.contrib import admin
from django.urls import path
from pages import views

urlpatterns = [
    path("", views.front, name="front"),
    path("news/<int:pk>/", views.article, name="article"),
    path("admin/", admin.site.urls),
]
