"""The data stream against HAP-NodeJS: its codec, its frames, its TCP server and its recorder, as published.

What HAP-NodeJS itself gets wrong is left out of the round trips, and only that: `hds_values` says what, and two tests
below show that it is so.
"""

import base64
import hashlib
import os
import random
import shutil

import pytest

from harness import hds_values, paths, tlv
from harness.line_peer import LinePeer

MODULES = paths.ROOT / ".cache" / "hap-nodejs" / "node_modules"
DRIVER = paths.ROOT / "tests" / "hap-nodejs" / "peer.js"
OURS = paths.TARGET / "release" / "examples" / "hds_peer"
SEED = int(os.environ.get("HDS_SEED", "1"))
VALUES = 1000

SHARED = "9e004098efc091d4ec2663b4e9f5cfd4d7064571690b4bea97ab146ab9f35056"
CONTROLLER_SALT = bytes(range(32)).hex()
ACCESSORY_SALT = bytes(range(32, 64)).hex()
SESSION = {"shared": SHARED, "controller_salt": CONTROLLER_SALT, "accessory_salt": ACCESSORY_SALT}

# One chunk, two, exactly two, a little more than one, a short one at last (not of 32 bytes or less: their reader loses it).
PIECES = [700, 455_000, 0x80000, 0x40000 + 33, 100_000]

pytestmark = pytest.mark.needs("node")


@pytest.fixture(autouse=True)
def installed():
    if not (MODULES / "hap-nodejs").is_dir() or shutil.which("node") is None:
        pytest.skip("peer missing: HAP-NodeJS")


def ours(folder):
    return LinePeer(folder / "hds_peer.log", OURS)


def theirs(folder):
    return LinePeer(folder / "hap-nodejs.log", "node", DRIVER, env={**os.environ, "NODE_PATH": str(MODULES)})


def generated(good):
    """Values of every width, then as many at random of scalars that are `good`."""
    yield from hds_values.edges()
    source = random.Random(SEED)
    yield from (hds_values.value(source, good) for _ in range(VALUES))


async def encoded(peer, values):
    answers = await peer.all([{"do": "encode", "value": value} for value in values])
    for value, answer in zip(values, answers):
        assert "hex" in answer, f"{answer} for {str(value)[:500]}"
    return [answer["hex"] for answer in answers]


async def decoded(peer, encodings):
    return await peer.all([{"do": "decode", "hex": encoding} for encoding in encodings])


async def test_they_read_what_we_write(folder):
    values = [value for value in generated(hds_values.read_right) if hds_values.misread(value) is None]
    assert len(values) > VALUES / 2
    async with ours(folder) as our, theirs(folder) as their:
        encodings = await encoded(our, values)
        for value, encoding, read in zip(values, encodings, await decoded(their, encodings)):
            expected = {"value": hds_values.in_javascript(value), "left": 0}
            if hds_values.ends_with_number(value):
                expected["left"] = 8  # it reads the number and stays before it
            assert read == expected, f"{encoding[:400]} of {str(value)[:400]}"


async def test_we_read_what_they_write(folder):
    wrapped = [{"int8": 5}, {"int8": -128}, {"int16": 5}, {"int16": -32768}, {"int32": 5}, {"int32": -(1 << 31)},
               {"int64": 5}, {"int64": (1 << 32) - 1}, {"float32": hds_values.bits(1.5)},
               {"float32": hds_values.bits(0.1)}]
    values = wrapped + [{"array": wrapped + wrapped[::-1]}, *generated(hds_values.written_right)]
    values = [value for value in values if hds_values.Written(value).wrong is None]
    assert len(values) > VALUES / 2
    async with ours(folder) as our, theirs(folder) as their:
        encodings = await encoded(their, values)
        for value, encoding, read in zip(values, encodings, await decoded(our, encodings)):
            assert read == {"value": hds_values.in_ours(value)}, f"{encoding[:400]} of {str(value)[:400]}"
    referring = sum(hds_values.Written(value).back_references > 0 for value in values)
    assert referring > 100, "hardly anything refers back"


async def test_what_their_reader_gets_wrong(folder):
    """Should one of these pass some day, `hds_values.misread` can do without it."""
    after = {"int": 1}
    wrong = [{"int": 39}, {"data": "00" * 32}, {"data": "00"}, {"data": ""},
             {"array": [{"float": hds_values.bits(0.5)}, after]}, {"array": [{"date": hds_values.bits(0.5)}, after]}]
    async with ours(folder) as our, theirs(folder) as their:
        for value, read in zip(wrong, await decoded(their, await encoded(our, wrong))):
            assert hds_values.misread(value)
            assert read.get("value") != hds_values.in_javascript(value), value


async def test_what_their_writer_gets_wrong(folder):
    """Should one of these pass some day, `hds_values.Written` can do without it."""
    twice = {"text": "twice"}
    many = [{"text": f"{i}"} for i in range(40)]
    wrong = [{"int": -32769}, {"int": 1 << 32}, {"int64": -1}, {"text": "é"},
             {"array": [*many, many[33]]},
             {"array": [{"text": ""}, {"text": "a"}, {"text": "b"}, {"text": "a"}]},
             {"array": [{"data": "0102"}, {"data": "0102"}, twice, twice]}]
    async with ours(folder) as our, theirs(folder) as their:
        for value in wrong:
            assert hds_values.Written(value).wrong, value
            written = await their(do="encode", value=value)
            if "hex" in written:
                read = await our(do="decode", hex=written["hex"])
                assert read.get("value") != hds_values.in_ours(value), value


def whole(length, index):
    return hashlib.sha256(bytes((i * 7 + index + 1) & 255 for i in range(length))).hexdigest()


def expected_pieces():
    chunk = 0x40000
    return [{"type": "mediaFragment" if index else "mediaInitialization", "sequence": index + 1,
             "chunks": [min(chunk, length - at) for at in range(0, length, chunk)], "sha256": whole(length, index)}
            for index, length in enumerate(PIECES)]


async def set_up(their):
    """The HAP half of a data stream, as a hub writes it; the session, with the port."""
    write = tlv.encode([(1, b"\0"), (2, b"\0"), (3, bytes.fromhex(CONTROLLER_SALT))])
    answer = await their(do="setup", write=base64.b64encode(write).decode())
    response = tlv.decode(base64.b64decode(answer["response"]))
    assert response[1] == b"\0"
    port = int.from_bytes(tlv.decode(response[2])[1], "little")
    return {**SESSION, "accessory_salt": response[3].hex(), "port": port}


async def test_we_record_from_their_recorder(folder):
    async with ours(folder) as our, theirs(folder) as their:
        await their(do="accessory", shared=SHARED, active=True, configured=True, pieces=PIECES)
        for streams in ([3], [4, 5, 40]):
            told = await our(do="record", streams=streams, **await set_up(their))
            assert told == {"streams": [
                {"stream": stream, "pieces": expected_pieces(), "findings": []} for stream in streams]}
            for stream in streams:
                assert await their.line() == {"acknowledged": stream}


@pytest.mark.parametrize("active, configured, code", [(False, True, 1), (True, False, 9)])
async def test_they_refuse_and_we_understand(folder, active, configured, code):
    """Among ten requests is one whose number is the status of its answer, which they write as a back-reference."""
    streams = list(range(10))
    async with ours(folder) as our, theirs(folder) as their:
        await their(do="accessory", shared=SHARED, active=active, configured=configured, pieces=PIECES)
        told = await our(do="record", streams=streams, **await set_up(their))
        assert told == {"streams": [{"stream": stream, "refused": code} for stream in streams]}


async def test_their_connection_records_from_us(folder):
    async with ours(folder) as our, theirs(folder) as their:
        port = (await our(do="serve", pieces=PIECES, **SESSION))["port"]
        told = await their(do="controller", port=port, streams=[1, 9, 70000], **SESSION)
        pieces = [{**piece, "total": True} for piece in expected_pieces()]
        assert told == {"streams": [{"stream": 1, "pieces": pieces}, {"stream": 9, "pieces": [], "refused": 9},
                                    {"stream": 70000, "pieces": pieces}]}
        events = [{"acked": True}, {"closed": 0}]
        assert await our.line() == {"streams": [{"stream": 1, "events": events}, {"stream": 70000, "events": events}]}
