"""Each promise of the policy has a file here that shows it kept."""

import re
from pathlib import Path

PROMISES = range(1, 20)


def test_each_of_the_nineteen_promises_has_its_file() -> None:
    names = [one.name for one in Path(__file__).parent.glob("test_p*.py")]
    shown = {int(number) for name in names for number in re.findall(r"p(\d\d)_", name)}
    assert shown == set(PROMISES)
