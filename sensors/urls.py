from django.urls import path, re_path

from sensors import views

device_urlpatterns = [
    path("api/sensors/ingest", views.IngestView.as_view(), name="reading-ingest"),
    # An alias, left out of the API's description.
    path("api/sensors/ingest/environmental", views.IngestView.as_view(schema=None)),
]
urlpatterns = [
    *device_urlpatterns,
    path("api/sensors/readings", views.ReadingsView.as_view(), name="reading-list"),
    re_path(
        r"^api/sensors/latest/(?P<device_id>[A-Za-z0-9._-]{1,50})\Z",
        views.LatestReadingView.as_view(),
        name="reading-latest",
    ),
]
