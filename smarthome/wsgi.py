"""The HTTP side of both faces, for `serve` and for any WSGI server."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smarthome.settings")
application = get_wsgi_application()
