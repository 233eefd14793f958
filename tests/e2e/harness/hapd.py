"""A real `hapd` process on loopback, with its own state directory and logs kept apart."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile

from . import paths, secrets, wait

_ENVIRONMENT = {
    "HAPD_LOG": "debug,mdns_sd=info",
    "RUST_BACKTRACE": "1",
    "GST_DEBUG_NO_COLOR": "1",
    "NO_COLOR": "1",
}


def config(*cameras, interfaces=("lo",)):
    """TOML for `cameras`: dicts of the keys of one `[[camera]]`; None leaves one out. Motion is told, not seen, unless they
    say otherwise."""
    lines = ["[hapd]", f"interfaces = {json.dumps(list(interfaces))}"]
    for camera in cameras:
        lines += ["", "[[camera]]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in {"motion": "off", **camera}.items()
                  if value is not None]
    return "\n".join(lines) + "\n"


class Hapd:
    """`with Hapd(folder, config) as hapd:`; every start and stop may be repeated."""

    def __init__(self, folder, config_text, env=None, service_manager=True, stdin=False):
        """`service_manager`: wait for its READY=1; else for the first camera to answer. `stdin`: it takes triggers there."""
        self.folder = pathlib.Path(folder)
        self.state = self.folder / "state"
        self.config = self.folder / "hapd.toml"
        self.log = self.folder / "hapd.log"  # standard error
        self.out = self.folder / "hapd.out"  # standard output: the setup code belongs here
        self.config.write_text(config_text)
        self.env = {**os.environ, **_ENVIRONMENT, **(env or {})}
        self.env.pop("JOURNAL_STREAM", None)
        self.service_manager = service_manager
        self.stdin = stdin
        self.process = None
        self._notify = None
        self._notify_dir = None

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, kind, *_):
        if self.process and self.process.poll() is None:
            await self.stop(check=kind is None)

    async def start(self, ready=15):
        """Starts `hapd run` and waits until it has told its service manager that it is ready."""
        self._listen_for_ready()
        manager = {"NOTIFY_SOCKET": self._notify.getsockname()} if self.service_manager else {}
        with self.log.open("ab") as log, self.out.open("ab") as out:
            self.process = subprocess.Popen(
                self._command("run", "--config", str(self.config), *(["--stdin-triggers"] if self.stdin else [])),
                stdin=subprocess.PIPE if self.stdin else subprocess.DEVNULL, stdout=out, stderr=log, env={**self.env, **manager})
        is_ready = self._is_ready if self.service_manager else self._answers
        try:
            await wait.until(is_ready, ready, lambda: f"hapd is not ready\n{self.tail()}", 0.005)
        finally:
            self._close_notify()

    def _answers(self):
        """The first camera takes connections."""
        self._still_runs()
        done = self.command("pairing-info", "--json")
        if done.returncode or not json.loads(done.stdout):
            return False
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", json.loads(done.stdout)[0]["port"])) == 0

    def _command(self, *arguments):
        return [str(paths.HAPD), "--state-dir", str(self.state), *arguments]

    def _listen_for_ready(self):
        self._notify_dir = tempfile.TemporaryDirectory(prefix="hapd-")
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(os.path.join(self._notify_dir.name, "notify"))
        self._notify.setblocking(False)

    def _close_notify(self):
        self._notify.close()
        self._notify_dir.cleanup()

    def _is_ready(self):
        self._still_runs()
        try:
            return b"READY=1" in self._notify.recv(4096)
        except BlockingIOError:
            return False

    def _still_runs(self):
        if self.process.poll() is not None:
            raise AssertionError(f"hapd ended with {self.process.returncode}:\n{self.tail()}")

    async def stop(self, check=True, seconds=10):
        """SIGTERM, and what a service manager would want to see afterwards."""
        self.process.send_signal(signal.SIGTERM)
        try:
            await wait.until(lambda: self.process.poll() is not None, seconds, "end of hapd after SIGTERM")
        except AssertionError:
            self.process.kill()
            self.process.wait()
            raise
        if check:
            assert self.process.returncode == 0, f"hapd ended with {self.process.returncode}\n{self.tail()}"
            self.no_panic()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def no_panic(self):
        log = self.log.read_text(errors="replace")
        assert "panicked at" not in log, f"hapd panicked:\n{self.tail()}"
        assert "CRITICAL" not in log, f"GStreamer or GLib critical in the log:\n{self.tail()}"

    def tail(self, lines=40):
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def command(self, *arguments, timeout=30):
        return subprocess.run(self._command(*arguments), env=self.env, timeout=timeout,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def trigger(self, camera, *what):
        done = self.command("trigger", camera, *what)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pairing_info(self):
        """The cameras by name; remembers their setup codes as secrets."""
        done = self.command("pairing-info", "--json")
        assert done.returncode == 0, done.stderr
        found = {entry["name"]: entry for entry in json.loads(done.stdout)}
        for entry in found.values():
            secrets.remember("setup code", entry["setup_code"])
            secrets.remember("setup code", entry["setup_code"].replace("-", ""))
            secrets.remember("setup payload", entry["setup_uri"])
        return found

    def rss_kib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError("no VmRSS")
