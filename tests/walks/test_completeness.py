import pytest

SOME_SKIPS = """
import pytest

@pytest.mark.skip(reason="no browser here")
def test_by_mark(): pass

def test_while_running(): pytest.skip("no broker here")

@pytest.mark.xfail(reason="the vendor's fault")
def test_known(): assert False

def test_fine(): pass
"""
A_SKIPPED_FILE = 'import pytest; pytest.importorskip("no_such_package_anywhere")'


@pytest.fixture
def suite(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", str(pytestconfig.rootpath))
    pytester.makepyfile(test_some=SOME_SKIPS, test_other=A_SKIPPED_FILE)
    return pytester


@pytest.mark.parametrize("workers", ["0", "2"])
def test_in_ci_a_skip_is_a_failure_that_says_which_and_why(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("MAILPREFS_TESTS_REQUIRE_ALL", "1")
    result = suite.runpytest_subprocess(
        "-p", "tests.plugins.completeness", "-n", workers, "--continue-on-collection-errors"
    )
    assert result.ret != 0
    # A mark skips in the set-up, and a file while it is collected: pytest calls both errors.
    result.assert_outcomes(passed=1, xfailed=1, failed=1, errors=2)
    result.stdout.fnmatch_lines_random(
        [
            "*test_by_mark was skipped (no browser here)*",
            "*test_while_running was skipped (no broker here)*",
            "*test_other.py was skipped (*no_such_package_anywhere*",
        ]
    )


def test_elsewhere_a_skip_stays_a_skip(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILPREFS_TESTS_REQUIRE_ALL", raising=False)
    result = suite.runpytest_subprocess("-p", "tests.plugins.completeness")
    assert result.ret == 0
    result.assert_outcomes(passed=1, skipped=3, xfailed=1)
