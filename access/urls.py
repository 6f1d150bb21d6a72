from django.urls import path

from access import views

device_urlpatterns = [
    path("api/access/check", views.AccessCheckView.as_view(), name="access-check"),
]
urlpatterns = [
    *device_urlpatterns,
    path("api/access/logs", views.AccessLogView.as_view(), name="access-log-list"),
]
