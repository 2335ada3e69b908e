"""A profile of Hypothesis for a long try: ``CONTRIBUTING.rst`` says how."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "long", max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
