"""The HTTP side of both faces behind nginx (`manage.py web`), or of any WSGI server."""

import os
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smarthome.settings")
application: Any = get_wsgi_application()

if not settings.EMBEDDED:
    # Models can be imported only now.
    from access import clock
    from policies.cache import warm_up
    from smarthome.behind_nginx import behind_nginx

    application = behind_nginx(application)
    warm_up()
    clock.watch.start()
