"""The people face. A device's endpoints answer 401 here."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("access.urls")),
    path("", include("smarthome.health")),
    path("admin/", admin.site.urls),
]
