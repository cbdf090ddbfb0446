"""Servers to measure, each on one processor: nginx with its constant GIF, and Python's."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from os import sysconf
from pathlib import Path
from typing import Final

_NGINX: Final = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr crit;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    keepalive_requests 1000000000;
    server {{
        listen 127.0.0.1:{port} reuseport;
        location / {{ {log} empty_gif; }}
    }}
}}
"""
_TICKS: Final = sysconf("SC_CLK_TCK")
_READY_SECONDS: Final = 20.0


class Running:
    """A server that answers on *port*, with all its processes."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.port = port
        self._process = process

    def cpu_seconds(self) -> float:
        """Give the processor time that it and its children have taken so far."""
        return sum(_cpu(pid) for pid in _family(self._process.pid))

    def wait(self) -> None:
        """Wait until it answers."""
        ends = time.monotonic() + _READY_SECONDS
        while time.monotonic() < ends and self._process.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/o/x.gif", timeout=2).close()
                return
            time.sleep(0.05)
        raise SystemExit(f"The server on port {self.port} doesn't answer.")


@contextmanager
def nginx(folder: Path, port: int, core: int, *, logs: bool) -> Iterator[Running]:
    """Run nginx with ``empty_gif``; it *logs* each access by a write, as it does unless told."""
    folder.mkdir()
    log = f"access_log {folder}/access.log combined;" if logs else ""
    file = folder / "nginx.conf"
    file.write_text(_NGINX.format(folder=folder, port=port, log=log))
    with _running(["nginx", "-c", str(file), "-p", str(folder)], port, core, {}) as one:
        yield one


@contextmanager
def python(
    script: Path, words: list[str], port: int, core: int, environment: Mapping[str, str]
) -> Iterator[Running]:
    """Run a Python *script* that serves on *port*."""
    words = [sys.executable, str(script), str(port), *words]
    with _running(words, port, core, environment) as one:
        yield one


@contextmanager
def _running(
    words: list[str], port: int, core: int, environment: Mapping[str, str]
) -> Iterator[Running]:
    process = subprocess.Popen(["taskset", "-c", str(core), *words], env=dict(environment) or None)
    try:
        running = Running(process, port)
        running.wait()
        yield running
    finally:
        process.terminate()
        process.wait(20)


def _family(pid: int) -> list[int]:
    """Give a process and all its descendants."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            for thread in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (thread / "children").read_text().split())
    return found


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS
