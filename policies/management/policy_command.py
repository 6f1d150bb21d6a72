"""Commands that change policies."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from policies.actor import Source, at_work, coming_by
from policies.cache import NotEverywhere


class PolicyCommand(BaseCommand):
    """A command that is done only when its change holds at every door."""

    source = Source.COMMAND  # which way its changes came

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            with at_work(coming_by(self.source)):
                return super().execute(*args, **options)
        except NotEverywhere as error:
            raise CommandError(f"{error} The worker sees to it within seconds.") from None
