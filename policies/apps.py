from django.apps import AppConfig


class PoliciesConfig(AppConfig):
    """Who and what is trusted."""

    name = "policies"
    verbose_name = "people, cards and devices"

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from policies import changes, checks, presence, schema, second_factor, throttling  # noqa: F401  # two register themselves
        from policies.roles import grant_permissions
        from realtime import streams

        throttling.check_settings()
        changes.watch()
        second_factor.watch()
        streams.sink("presence", presence.write)
        post_migrate.connect(grant_permissions, dispatch_uid="policies.grant_permissions")
