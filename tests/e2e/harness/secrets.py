"""Every secret a run has used, so that one check at its end can look for them in all logs."""

import base64
import json

from . import paths

FILE = paths.RUN / "secrets.jsonl"


def remember(kind, value):
    """`value`: text as it is, or bytes in the spellings a log might use."""
    spellings = {value} if isinstance(value, str) else _spellings(value)
    paths.RUN.mkdir(parents=True, exist_ok=True)
    with FILE.open("a") as out:
        for text in spellings:
            out.write(json.dumps([kind, text]) + "\n")


def _spellings(value):
    return {
        value.hex(),
        value.hex().upper(),
        value.hex(" "),
        ", ".join(str(b) for b in value),
        ", ".join(f"0x{b:02x}" for b in value),
        base64.b64encode(value).decode().rstrip("="),
    }


def known():
    if not FILE.exists():
        return []
    return sorted({tuple(json.loads(line)) for line in FILE.read_text().splitlines()})
