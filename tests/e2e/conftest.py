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
    config.addinivalue_line(
        "markers", "timing: measures times on a machine that others use, too; a failure is tried once more and reported"
    )


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("timing"):
            item.add_marker(pytest.mark.flaky(reruns=1))


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
