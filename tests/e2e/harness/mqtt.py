"""A real MQTT broker with a password, which can die and come back."""

import asyncio
import pathlib
import secrets as random
import shutil
import subprocess

from . import secrets, wait

BROKER = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
PUBLISH = shutil.which("mosquitto_pub") or "mosquitto_pub"
PASSWORDS = shutil.which("mosquitto_passwd") or "mosquitto_passwd"


class Broker:
    def __init__(self, folder, port):
        self.folder, self.port = pathlib.Path(folder), port
        self.user, self.password = "hapd", "mq" + random.token_hex(8)
        self.process = None
        secrets.remember("MQTT password", self.password)

    @property
    def url(self):
        return f"mqtt://{self.user}:{self.password}@127.0.0.1:{self.port}"

    async def __aenter__(self):
        passwords = self.folder / "passwords"
        subprocess.run([PASSWORDS, "-b", "-c", str(passwords), self.user, self.password], check=True, timeout=10)
        (self.folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n"
            "user root\npersistence false\nmax_inflight_messages 0\nmax_queued_messages 0\n")
        await self.start()
        return self

    async def __aexit__(self, *_):
        self.kill()

    async def start(self):
        with (self.folder / "mosquitto.out").open("ab") as out:
            self.process = subprocess.Popen([BROKER, "-v", "-c", str(self.folder / "mosquitto.conf")],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        await wait.until(self._listens, 10, lambda: (self.folder / "mosquitto.out").read_text())

    async def _listens(self):
        assert self.process.poll() is None, (self.folder / "mosquitto.out").read_text()
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionRefusedError:
            return False
        writer.close()
        return True

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def publish(self, topic, *messages, retain=False):
        """All messages over one connection."""
        command = [PUBLISH, "-h", "127.0.0.1", "-p", str(self.port), "-u", self.user, "-P", self.password, "-t", topic]
        if retain:
            command.append("-r")
        if len(messages) == 1:
            subprocess.run([*command, "-s"], input=messages[0], text=True, check=True, timeout=10)
        else:
            subprocess.run([*command, "-l"], input="\n".join(messages), text=True, check=True, timeout=30)
