"""Waiting for something to become true, with a deadline instead of a sleep."""

import asyncio
import inspect
import time


async def until(condition, seconds, what, every=0.02):
    """The first true value of `condition()` (which may be a coroutine function)."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        await asyncio.sleep(every)
