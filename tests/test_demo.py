"""The demo's own command: a line of another terminal runs on the demo's installation."""

import os
import subprocess
from pathlib import Path

from demo.installation import Installation


def test_a_pasted_line_needs_no_settings_of_its_own(tmp_path: Path) -> None:
    elsewhere = {name: text for name, text in os.environ.items() if "MAILPREFS" not in name}
    elsewhere.pop("PYTHONPATH", None)
    with Installation(tmp_path / "a company's demo") as installation:
        installation.call("init", "--admin", "marta@example.com")
        installation.write_command()
        done = subprocess.run(
            [installation.command, "topic", "list", "--json"],
            env=elsewhere,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")
