"""Commands that change policies."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from policies.cache import NotEverywhere


class PolicyCommand(BaseCommand):
    """A command that is done only when its change holds at every door."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except NotEverywhere as error:
            raise CommandError(f"{error} The worker sees to it within seconds.") from None
