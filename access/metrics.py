"""What the access feature counts, for /metrics."""

from prometheus_client import Counter, Histogram

CHECKS = Counter("smarthome_access_checks", "Answered access checks, by reason.", ["reason"])
CHECK_SECONDS = Histogram(
    "smarthome_access_check_seconds",
    "From the request's arrival in the view to its durable record.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.5, 1),
)
