"""aiohomekit forgets the shared secret of Pair Verify, from which a data stream's keys come: this keeps it."""

import inspect

from aiohomekit.controller.ip import connection as ip

_by_key = {}
_get_session_keys = ip.get_session_keys


def _remembering(*arguments, **more):
    session, derive = yield from _get_session_keys(*arguments, **more)
    key = derive(b"Control-Salt", b"Control-Write-Encryption-Key")
    _by_key[key] = inspect.getclosurevars(derive).nonlocals["shared_secret"]
    return session, derive


ip.get_session_keys = _remembering


def of(link):
    """The secret of a verified connection as it is now."""
    return _by_key[link.protocol.c2a_key]
