"""A plugin of pytest: each of its workers has a stream Redis and a cache Redis of its own.

Loaded by `-p`, before Django's settings are read. Databases are named by worker already.
"""

import os

worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
os.environ["REDIS_URL"] = os.environ["WORKERS_REDIS_URLS"].split()[worker]
os.environ["CACHE_REDIS_URL"] = os.environ["WORKERS_CACHE_REDIS_URLS"].split()[worker]
