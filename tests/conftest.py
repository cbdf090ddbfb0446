"""What every test gets. The pieces live in tests/plugins, one subject a file."""

from hypothesis import HealthCheck, settings

# How long making an example takes, as the first one with any letter of Unicode, is no promise.
settings.register_profile(
    "mailprefs",
    parent=settings.default,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("mailprefs")

pytest_plugins = [
    "pytester",
    "tests.plugins.compiled",
    "tests.plugins.completeness",
    "tests.plugins.databases",
    "tests.plugins.network",
]
