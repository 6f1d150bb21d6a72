"""The console's pages about what happens at doors: the doors, their log, and new cards."""

from access.admin import doors, events, log

__all__ = ["doors", "events", "log"]
