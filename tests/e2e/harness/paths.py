"""Where the programs under test are and where a run leaves its traces."""

import os
import pathlib
import shutil

ROOT = pathlib.Path(__file__).resolve().parents[3]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
HAPD = pathlib.Path(os.environ.get("HAPD", TARGET / "release" / "hapd"))
HAPCTL = pathlib.Path(os.environ.get("HAPCTL", TARGET / "release" / "hapctl"))
RUN = pathlib.Path(os.environ.get("E2E_DIR", ROOT / ".cache" / "e2e" / "run"))
SYSTEM_PYTHON = "/usr/bin/python3"  # the one with the GObject bindings


def folder(name):
    """A fresh folder for one test."""
    path = RUN / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path
