"""Values of the data stream's codec at random, and what HAP-NodeJS 1.2.0 can do with them.

A value is the JSON both programs speak: null, true, false or an object with one key, its type. Numbers with a point are
the hex of their 64 bits.
"""

import struct

SAFE = 1 << 53  # what JavaScript's numbers hold exactly
EDGES = [-SAFE + 1, -(1 << 31) - 1, -(1 << 31), -32769, -32768, -129, -128, -2, -1, 0, 1, 38, 39, 40, 127, 128, 255,
         256, 32767, 32768, 65535, 65536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, SAFE - 1]
LENGTHS = [0, 1, 31, 32, 33, 34, 127, 128, 255, 256, 257, 65535, 65536]


def bits(number):
    return struct.pack(">d", number).hex()


def number(text):
    return struct.unpack(">d", bytes.fromhex(text))[0]


def edges():
    """Every width of every type."""
    yield from (None, True, False, {"uuid": bytes(range(16)).hex()})
    yield from ({"int": n} for n in EDGES)
    for f in (0.5, -1.25, 3.0, 1e300, 5e-324, float("inf")):
        yield from ({"float": bits(f)}, {"date": bits(f)})
    for n in LENGTHS:
        yield from ({"text": "x" * n}, {"data": bytes(i & 255 for i in range(n)).hex()})
    for n in (0, 1, 12, 13, 14, 15, 16, 100):
        yield {"array": [{"int": i % 39} for i in range(n)]}
        yield {"dict": [[{"text": f"k{i}"}, {"int": i % 39}] for i in range(n)]}
    yield from ({"text": t} for t in ("café", "日本語", "🎥" * 20, "é" * 200))


def scalar(random):
    kind = random.choice(["none", "bool", "int", "small", "float", "date", "uuid", "text", "text", "data", "long"])
    match kind:
        case "none":
            return None
        case "bool":
            return random.random() < 0.5
        case "int":
            n = random.getrandbits(random.randrange(1, 53))
            return {"int": -n if random.random() < 0.5 else n}
        case "small":
            return {"int": random.randrange(-3, 60)}
        case "float" | "date":
            return {kind: bits(random.uniform(-1e6, 1e6))}
        case "uuid":
            return {"uuid": random.randbytes(16).hex()}
        case "text":
            return {"text": "".join(random.choices("abcdefgä日🎥", k=random.randrange(0, 60)))}
        case "data":
            return {"data": random.randbytes(random.randrange(0, 80)).hex()}
        case _:
            n = random.choice([200, 300, 1000, 5000, 66000])
            return random.choice([{"text": "y" * n}, {"data": random.randbytes(n).hex()}])


def value(random, good, depth=0, pool=None):
    """All scalars are `good`; all but data come back, so that there is something to refer to."""
    pool = [] if pool is None else pool
    if depth < 4 and random.random() < (0.9, 0.2, 0.1, 0.1)[depth]:
        count = random.choice([0, 1, 2, 3, 5, 8, 13, 14, 15])
        if random.random() < 0.5:
            return {"array": [value(random, good, depth + 1, pool) for _ in range(count)]}
        keys = random.sample([f"key{i}" for i in range(40)], count)
        return {"dict": [[{"text": key}, value(random, good, depth + 1, pool)] for key in keys]}
    if pool and random.random() < 0.5:
        return random.choice(pool)
    made = next(made for made in iter(lambda: scalar(random), ...) if good(made))
    if kind(made) != "data":
        pool.append(made)
    return made


def kind(value):
    return next(iter(value)) if isinstance(value, dict) else None


def scalars(value):
    """In the order they are written."""
    match kind(value):
        case "array":
            for inner in value["array"]:
                yield from scalars(inner)
        case "dict":
            for key, inner in value["dict"]:
                yield key
                yield from scalars(inner)
        case _:
            yield value


def ends_with_number(value):
    """Whether the last scalar is a 64-bit number."""
    written = list(scalars(value))
    return bool(written) and kind(written[-1]) in ("float", "date")


def misread(value):
    """What HAP-NodeJS's reader gets wrong of the plain encoding, or None."""
    written = list(scalars(value))
    for at, inner in enumerate(written):
        content = inner[kind(inner)] if isinstance(inner, dict) and inner else None
        match kind(inner):
            case "int" if content == 39:
                return "39"
            case "data" if len(content) <= 64:
                return "data of up to 32 bytes"
            case "float" | "date" if at + 1 < len(written):
                return "whatever follows a 64-bit number"
    if ends_with_number(value) and ends_with_terminator(value):
        return "whatever follows a 64-bit number"
    return None


def read_right(scalar):
    """Whether HAP-NodeJS's reader does right by a scalar, whatever comes after it."""
    return misread({"array": [scalar, None]}) is None and misread({"array": [scalar, {"int": 1}]}) is None


def ends_with_terminator(value):
    match kind(value):
        case "array" | "dict" as name:
            entries = value[name]
            last = entries[-1] if entries else None
            return len(entries) > 14 or bool(entries) and ends_with_terminator(last[1] if name == "dict" else last)
    return False


def in_javascript(value):
    """What a reader that has JavaScript's types makes of it."""
    match kind(value):
        case None:
            return value
        case "int":
            return {"number": bits(float(value["int"]))}
        case "float" | "date" as name:
            return {"number": value[name]}
        case "uuid":
            text = value["uuid"]
            return {"text": "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))}
        case "array":
            return {"array": [in_javascript(inner) for inner in value["array"]]}
        case "dict":
            return {"dict": [[key, in_javascript(inner)] for key, inner in value["dict"]]}
    return value


def in_ours(value):
    """What is left of the types HAP-NodeJS writes."""
    match kind(value):
        case "int8" | "int16" | "int32" | "int64" as name:
            return {"int": value[name]}
        case "float32":
            narrow = struct.unpack("<f", struct.pack("<f", number(value["float32"])))[0]
            return {"float": bits(narrow)}
        case "array":
            return {"array": [in_ours(inner) for inner in value["array"]]}
        case "dict":
            return {"dict": [[key, in_ours(inner)] for key, inner in value["dict"]]}
    return value


def written_right(scalar):
    """Whether HAP-NodeJS's writer does right by a scalar, whatever comes after it."""
    written = Written(scalar)
    return written.wrong is None and not written.lost


class Written:
    """What HAP-NodeJS's writer does with a value: how often it refers back, and what it gets wrong."""

    def __init__(self, value):
        self.table, self.back_references, self.wrong = {}, 0, None
        self.lost = False
        for inner in scalars(value):
            self.scalar(inner)

    def scalar(self, value):
        name = kind(value)
        content = value[name] if name else None
        if name is None or name == "int" and -1 <= content <= 39:
            return
        if name == "int":
            self.whole(content)
            name = width(content)
        elif name == "int64" and not 0 <= content < 1 << 32:
            self.wrong = "whole numbers beyond an unsigned 32-bit number"
        elif name == "text" and len(content.encode()) <= 32 and not content.isascii():
            self.wrong = "the length of short text that is not ASCII"
        self.track(name, content)

    def whole(self, content):
        if content != -(1 << 31) and not -32768 <= content < 1 << 32:
            self.wrong = "whole numbers beyond an unsigned 32-bit number"

    def track(self, name, content):
        at = self.table.get((name, content))
        if at is not None and name != "data":
            if at < 48:
                self.refer(at)
            return
        if at is not None or content == "":
            self.lost = True  # one more entry than there should be
        self.table.setdefault((name, content), len(self.table))

    def refer(self, at):
        self.back_references += 1
        if at > 32:
            self.wrong = "back-references beyond 32"
        elif self.lost:
            self.wrong = "back-references after equal data or nothing at all"


def width(content):
    if -128 <= content <= 127:
        return "int8"
    if -32768 <= content <= 32767:
        return "int16"
    return "int32" if content == -(1 << 31) else "int64"
