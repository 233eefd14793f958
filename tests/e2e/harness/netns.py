"""A network namespace as the viewer's machine, and losses on the way to it."""

import contextlib
import os
import secrets as random
import shutil
import subprocess


def missing():
    """Why there can be none; empty if there can."""
    if os.geteuid() != 0:
        return "needs root"
    for program in ("ip", "nft"):
        if shutil.which(program) is None and not os.access(f"/usr/sbin/{program}", os.X_OK):
            return f"peer missing: {program}"
    probe = f"probe{random.token_hex(2)}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, env=_ENVIRONMENT)
    if made.returncode:
        return f"no network namespaces here: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", probe], check=True, env=_ENVIRONMENT)
    return ""


_ENVIRONMENT = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}


def _run(*command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=_ENVIRONMENT, timeout=20)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


class Namespace:
    """`with Namespace() as ns:`; `ns.host` is this side's address, `ns.address` the other's."""

    def __init__(self):
        token = random.token_hex(2)
        self.name, self.link, self._inner = f"hap{token}", f"hap{token}a", f"hap{token}b"
        # TEST-NET-2 is nobody's (RFC 5737).
        net = 4 * random.randbelow(64)
        self.host, self.address = f"198.51.100.{net + 1}", f"198.51.100.{net + 2}"

    def __enter__(self):
        _run("ip", "netns", "add", self.name)
        try:
            _run("ip", "link", "add", self.link, "type", "veth", "peer", "name", self._inner, "netns", self.name)
            _run("ip", "address", "add", f"{self.host}/30", "dev", self.link)
            _run("ip", "link", "set", self.link, "up")
            self.run("ip", "address", "add", f"{self.address}/30", "dev", self._inner)
            self.run("ip", "link", "set", self._inner, "up")
            self.run("ip", "link", "set", "lo", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for command in (["ip", "link", "delete", self.link], ["ip", "netns", "delete", self.name]):
            with contextlib.suppress(AssertionError):
                _run(*command)

    def run(self, *command, text=None):
        return _run("ip", "netns", "exec", self.name, *command, text=text)

    def wrap(self, *command):
        """The command line of `command` as a process on the other side."""
        return [shutil.which("ip", path=_ENVIRONMENT["PATH"]), "netns", "exec", self.name, *command]

    def lose(self, percent):
        """Drops this share of the UDP packets that arrive on the other side."""
        self.run("nft", "-f", "-", text=f"""
            table ip loss {{
                chain arriving {{
                    type filter hook input priority 0;
                    meta l4proto udp counter
                    meta l4proto udp numgen random mod 100 < {percent} counter drop
                }}
            }}""")

    def lost(self):
        """(packets that arrived, packets dropped of them)."""
        words = self.run("nft", "list", "table", "ip", "loss").split()
        counts = [int(words[i + 1]) for i, word in enumerate(words) if word == "packets"]
        return counts[0], counts[1]
