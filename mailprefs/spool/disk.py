"""What the disk is asked to keep besides the bytes of a file."""

import os
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Have the disk keep which files there are; OSError if it says that it failed."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
