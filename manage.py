#!/usr/bin/env python
"""The house's command line."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import DatabaseError

from smarthome import logs
from smarthome.processes import SERVERS, YIELDS

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smarthome.settings")
    if sys.argv[1:2] and sys.argv[1] in SERVERS:
        logs.take_over()
        os.nice(YIELDS.get(sys.argv[1], 0))
    os.umask(0o077)  # what a command writes is the house's alone
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"error: {error}")
    except DatabaseError as error:
        if "no such table" not in str(error) and "does not exist" not in str(error):
            raise
        sys.exit("error: this house has no database yet. Run: manage.py bootstrap")
