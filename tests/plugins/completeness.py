"""With MAILPREFS_TESTS_REQUIRE_ALL=1, as in CI, a test that is skipped is a test that failed."""

import os
from collections.abc import Generator

import pytest

REQUIRED = os.environ.get("MAILPREFS_TESTS_REQUIRE_ALL") == "1"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one; an expected failure stays what it is."""
    report = yield
    if REQUIRED and report.skipped and not hasattr(report, "wasxfail"):
        fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped file (importorskip, a skip at module level) into a failed one."""
    report = yield
    if REQUIRED and report.skipped:
        fail(report)
    return report


def fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Make a failure of a skip, and say which test it was and why it was skipped."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    report.outcome = "failed"
    report.longrepr = (
        f"{report.nodeid} was skipped ({reason}), and MAILPREFS_TESTS_REQUIRE_ALL=1 allows"
        " no skips: install what it needs, or repair why it could not run."
    )
