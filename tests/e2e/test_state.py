"""State and configuration on disk: private, refused where broken, never overwritten."""

import asyncio
import json
import socket
import stat
import subprocess

import pytest

from harness import paths, wait
from harness.cameras import pattern_camera, unique
from harness.hapd import Hapd, config
from harness.view import paired


def files(hapd):
    return [p for p in sorted(hapd.state.rglob("*")) if p.is_file() and p.stat().st_size]


async def test_state_is_for_its_owner_only(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd):
        assert stat.S_IMODE(hapd.state.stat().st_mode) == 0o700
        assert files(hapd)
        for path in hapd.state.rglob("*"):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600), f"{path}: {mode:o}"


async def test_told_to_stop_before_it_is_ready_it_ends_in_order(folder):
    """A camera that sends nothing is waited for; its port is taken before that."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    camera = {"name": unique("Silent"), "source": "launch:videotestsrc is-live=true ! valve drop=true", "port": address[1]}
    hapd = Hapd(folder, config(camera))

    def listens():
        with socket.socket() as client:
            return client.connect_ex(address) == 0

    starting = asyncio.create_task(hapd.start())
    await wait.until(listens, 10, "the camera's port", 0.005)
    assert "ready:" not in hapd.log.read_text()
    hapd.process.terminate()
    await asyncio.wait([starting])  # whether it still says that it is ready does not matter
    starting.exception()
    await wait.until(lambda: hapd.process.poll() is not None, 10, "end of hapd")
    assert hapd.process.returncode == 0 and "SIGTERM: stopping" in hapd.log.read_text(), hapd.tail()


BREAKS = {"cut": lambda b: b[: len(b) // 2], "noise": lambda b: bytes(x ^ 0x5A for x in b), "empty": lambda b: b"",
          "other": lambda b: b'{"version": 999}'}


@pytest.mark.parametrize("how", BREAKS)
async def test_broken_state_is_refused_and_left_alone(folder, how):
    hapd = Hapd(folder, config(pattern_camera()))
    async with hapd, paired(hapd):
        await hapd.stop()
        for path in files(hapd):
            whole = path.read_bytes()
            broken = BREAKS[how](whole)
            path.write_bytes(broken)
            for command in (("run", "--config", str(hapd.config)), ("pairing-info", "--json"), ("unpair",)):
                done = hapd.command(*command, timeout=15)
                assert path.read_bytes() == broken, f"{command} wrote to a broken {path.name}"
                if command == ("unpair",) and path.suffix != ".json":
                    continue  # it needs the pairings only
                assert done.returncode not in (0, 101), f"{command} with a broken {path.name}: {done.stderr}"
                assert path.name in done.stderr, done.stderr
                assert "panicked" not in done.stderr
            path.write_bytes(whole)
        await hapd.start()


BAD_CONFIGS = {
    "syntax": ('[[camera]]\nname = "A"\nsource = \n', 3, ""),
    "unknown key": ('[[camera]]\nname = "A"\nsource = "test"\ncolour = "red"\n', 4, "colour"),
    "unknown source": ('[[camera]]\nname = "A"\nsource = "telepathy:1"\n', 3, "source"),
    "no source": ('[[camera]]\nname = "A"\n', 1, "source"),
    "wrong type": ('[[camera]]\nname = "A"\nsource = "test"\nport = "high"\n', 4, "port"),
    "too many streams": ('[[camera]]\nname = "A"\nsource = "test"\nmax_streams = 99\n', 4, "max_streams"),
    "bad name": ('[[camera]]\nname = ""\nsource = "test"\n', 2, "name"),
    "same name twice": ('[[camera]]\nname = "A"\nsource = "test"\n[[camera]]\nname = "A"\nsource = "test"\n', 4, "name"),
}


@pytest.mark.parametrize("name", BAD_CONFIGS)
async def test_broken_config_is_told_by_line_and_reason(folder, name):
    text, line, word = BAD_CONFIGS[name]
    hapd = Hapd(folder, text)
    for command in (("check", str(hapd.config)), ("run", "--config", str(hapd.config))):
        done = hapd.command(*command, timeout=15)
        said = done.stderr + done.stdout
        assert done.returncode not in (0, 101), f"{command}: {said}"
        assert str(line) in said and word in said, f"line {line} and '{word}' not in:\n{said}"
        assert "panicked" not in said


async def test_good_config_is_called_good(folder):
    hapd = Hapd(folder, config(pattern_camera(), {"name": "Door", "source": "rtsp://u:pwcheck@127.0.0.1/x"}))
    done = hapd.command("check", str(hapd.config))
    assert done.returncode == 0, done.stderr
    assert "pwcheck" not in done.stdout + done.stderr


async def test_config_that_is_not_there(folder):
    hapd = Hapd(folder, config(pattern_camera()))
    done = hapd.command("run", "--config", str(folder / "none.toml"))
    assert done.returncode not in (0, 101) and "none.toml" in done.stderr


async def test_second_hapd_on_the_same_state_is_refused(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd:
        done = hapd.command("run", "--config", str(hapd.config), timeout=15)
        assert done.returncode not in (0, 101), "two daemons on one state"


async def test_help_and_version():
    for program in (paths.HAPD, paths.HAPCTL):
        for arguments in (["--help"], ["--version"]):
            done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=10)
            assert done.returncode == 0 and len(done.stdout) > 5, (program, arguments, done.stderr)


async def test_setup_code_and_qr_are_printed_on_standard_output_only(folder):
    hapd = Hapd(folder, config(pattern_camera()), service_manager=False)
    async with hapd:
        (entry,) = hapd.pairing_info().values()
        await wait.until(lambda: entry["setup_code"] in hapd.out.read_text(), 5, "the setup code")
        assert len([line for line in hapd.out.read_text().splitlines() if set(line) & set("█▀▄")]) > 8, "a QR code"
        assert entry["setup_code"] not in hapd.log.read_text()


async def test_first_line_of_the_log_names_each_camera_and_its_port(folder):
    async with Hapd(folder, config(pattern_camera("One"), pattern_camera("Two"))) as hapd:
        ready = next(line for line in hapd.log.read_text().splitlines() if "ready" in line)
        for name, entry in hapd.pairing_info().items():
            assert name in ready and str(entry["port"]) in ready, ready
        assert not any(e["setup_code"] in hapd.out.read_text() for e in hapd.pairing_info().values()), \
            "a service manager would keep the setup code in its journal"


async def test_pairing_info_fields(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd:
        done = hapd.command("pairing-info", "--json")
        (entry,) = json.loads(done.stdout)
        assert set(entry) == {"name", "device_id", "port", "category", "setup_code", "setup_uri", "paired"}
        assert hapd.command("pairing-info").returncode == 0
