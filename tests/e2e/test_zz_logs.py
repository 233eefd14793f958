"""Last: no log of this whole run holds a setup code, a key or a password."""

import pytest

from harness import paths, secrets

pytestmark = pytest.mark.once


def logs():
    return [p for p in sorted(paths.RUN.rglob("*.log")) if p.name in ("hapd.log", "hapctl.log")]


def test_there_is_something_to_look_at():
    assert logs() and len(secrets.known()) > 20, "run the other tests first"


def test_no_log_holds_a_secret():
    found, known = [], secrets.known()
    for path in logs():
        text = path.read_text(errors="replace")
        found += [f"{kind} in {path.parent.name}/{path.name}" for kind, value in known if value in text]
    assert not found, "\n".join(sorted(set(found)))


def test_no_daemon_of_this_run_panicked():
    bad = [str(p) for p in logs() if "panicked at" in p.read_text(errors="replace")]
    assert not bad, bad
