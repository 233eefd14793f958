"""Runs coroutine tests, each in a loop of its own and under a deadline, and says which peers are missing."""

import asyncio
import inspect
import shutil

import pytest

from harness import paths

DEADLINE = 120


def pytest_configure(config):
    config.addinivalue_line("markers", "deadline(seconds): give the test longer than usual")
    config.addinivalue_line("markers", "needs(*programs): skipped where a peer is missing")
    config.addinivalue_line("markers", "once: what fails once has failed")


def pytest_collection_modifyitems(items):
    """Media run in real time, on machines that others use too: one second try, and the first is told in full."""
    for item in items:
        if not item.get_closest_marker("once"):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"first try of {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)
        terminalreporter.write_line(report.capstdout)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    marker = pyfuncitem.get_closest_marker("deadline")
    seconds = marker.args[0] if marker else DEADLINE
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), seconds))
    return True


def pytest_runtest_setup(item):
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            if shutil.which(str(program)) is None:
                pytest.skip(f"peer missing: {program}")


@pytest.fixture
def folder(request):
    """A folder for this test's state, logs and recordings; kept after the run."""
    return paths.folder(request.node.name.replace("/", "_").replace("[", "-").rstrip("]"))
