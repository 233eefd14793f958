"""The benchmark programs of the protocol crates (`benches/hot_paths.rs`)."""

import json
import subprocess
from dataclasses import dataclass

from harness import paths

CRATES = ("hap-srtp", "hap-rtp-payload", "hap-rtp-feedback")


@dataclass
class HotPath:
    """One thing that happens once per packet, picture or report."""

    crate: str
    program: str
    name: str

    @property
    def key(self):
        return f"{self.crate}/{self.name}"


def build():
    """Every hot path there is; builds with cargo what is not built yet."""
    command = ["cargo", "bench", "--no-run", "--locked", "--bench", "hot_paths", "--message-format=json",
               "--manifest-path", str(paths.ROOT / "Cargo.toml")]
    for crate in CRATES:
        command += ["-p", crate]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    found = []
    for message in map(json.loads, lines):
        if message.get("executable") and message["target"]["name"] == "hot_paths":
            crate = next(c for c in CRATES if f"/{c.removeprefix('hap-')}#" in message["package_id"])
            found += [HotPath(crate, message["executable"], name) for name in _names(message["executable"])]
    return found


def _names(program):
    return subprocess.run([program, "names"], check=True, capture_output=True, text=True).stdout.split()
