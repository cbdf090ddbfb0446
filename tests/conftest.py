"""What every test gets. The pieces live in tests/plugins, one subject a file."""

pytest_plugins = [
    "pytester",
    "tests.plugins.compiled",
    "tests.plugins.completeness",
    "tests.plugins.databases",
    "tests.plugins.network",
]
