from django.urls import include, path, re_path
from rest_framework import routers

from conferences.views import PeopleView, PersonView, UserViewSet
from sitefleet.persite.storage import serve_media

router = routers.DefaultRouter()
router.register("users", UserViewSet)

# Wafer's own come behind: what is not said here is as it is there.
urlpatterns = [
    path("users/", PeopleView.as_view(), name="wafer_users"),
    path("users/page/<int:page>/", PeopleView.as_view(), name="wafer_users_page"),
    path("users/api/", include(router.urls)),
    re_path(r"^users/(?P<username>[\w.@+-]+)/$", PersonView.as_view(), name="wafer_user_profile"),
    path("media/<path:name>", serve_media),
    path("", include("wafer.urls")),
]
