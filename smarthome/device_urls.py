"""The device face: what a certificate may ask, and nothing else."""

from access.urls import device_urlpatterns as access
from smarthome.health import urlpatterns as health

urlpatterns = [*access, *health]
