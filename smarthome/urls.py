"""The people face. A device's endpoints answer 401 here."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import (
    SpectacularJSONAPIView,
    SpectacularRedocView,
    SpectacularSwaggerSplitView,
)

from smarthome.metrics import MetricsView
from smarthome.sign_in import ConsoleSignInForm

admin.site.login_form = ConsoleSignInForm
admin.site.login_template = "console_sign_in.html"

urlpatterns = [
    path("", include("access.urls")),
    path("", include("sensors.urls")),
    path("", include("policies.urls")),
    path("", include("smarthome.health")),
    path("", include("smarthome.pages")),
    path("", include("smarthome.passages")),
    path("", include("smarthome.history")),
    path("", include("smarthome.devices")),
    path("", include("smarthome.system")),
    path("metrics", MetricsView.as_view(), name="metrics"),
    path("api/schema", SpectacularJSONAPIView.as_view(), name="schema"),
    path("docs", SpectacularSwaggerSplitView.as_view(), name="docs"),
    path("redoc", SpectacularRedocView.as_view(), name="redoc"),
    path("admin/", admin.site.urls),
]
