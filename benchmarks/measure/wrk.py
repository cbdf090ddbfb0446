"""wrk, as one client machine: its own core, 64 connections, many tokens, many user agents."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

CONNECTIONS: Final = 64
_SCRIPT: Final = """
-- The requests are made before the clock starts: to send one costs wrk a look into a table.
local requests, at = {}, 0
local agents = {}
for line in io.lines("AGENTS") do agents[#agents + 1] = line end

function init(arguments)
   for path in io.lines("PATHS") do
      local agent = agents[#requests % #agents + 1]
      requests[#requests + 1] = wrk.format("GET", path, { ["User-Agent"] = agent,
         ["Host"] = "mail.example.com" })
   end
end

function request()
   at = at % #requests + 1
   return requests[at]
end

function done(summary, latency, _)
   local wrong = summary.errors
   print(string.format('JSON {"requests": %d, "seconds": %f, "wrong": %d, "p50": %f, "p99": %f}',
      summary.requests, summary.duration / 1e6,
      wrong.connect + wrong.read + wrong.write + wrong.status + wrong.timeout,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


class Load(NamedTuple):
    """What one run of wrk saw: answers, seconds, and milliseconds that half and 99 % waited."""

    answers: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Give the answers a second."""
        return self.answers / self.seconds


class Client:
    """The client: what it asks for is written to files once, and then asked again and again."""

    def __init__(
        self, folder: Path, paths: Sequence[str], agents: Sequence[str], core: int
    ) -> None:
        """Ask for *paths* in turn, as each of *agents* in turn, from the processor *core*."""
        self._script, self._core = folder / "wrk.lua", core
        for name, lines in (("paths", paths), ("agents", agents)):
            (folder / name).write_text("\n".join(lines) + "\n", encoding="ascii")
        text = _SCRIPT.replace("AGENTS", str(folder / "agents"))
        self._script.write_text(text.replace("PATHS", str(folder / "paths")), encoding="ascii")

    def ask(self, port: int, seconds: int) -> Load:
        """Ask the server on *port* for some *seconds*.

        :raises SystemExit: if an answer was anything but a 200.
        """
        words = ["taskset", "-c", str(self._core), "wrk", "-t1", f"-c{CONNECTIONS}"]
        words += [f"-d{seconds}s", "-s", str(self._script), f"http://127.0.0.1:{port}/"]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        found = json.loads(said.rpartition("JSON ")[2])
        if found["wrong"]:
            raise SystemExit(f"{found['wrong']} requests went wrong:\n{said}")
        return Load(int(found["requests"]), found["seconds"], found["p50"], found["p99"])
