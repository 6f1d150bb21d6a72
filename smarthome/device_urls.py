"""The device face: what a certificate may ask, and nothing else."""

from access.urls import device_urlpatterns as access
from sensors.urls import device_urlpatterns as sensors
from smarthome.health import urlpatterns as health

handler404 = "smarthome.errors.not_found"
urlpatterns = [*access, *sensors, *health]
