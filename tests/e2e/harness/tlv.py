"""TLV8, just enough for the camera characteristics; written apart from the Rust crate on purpose."""


def encode(items):
    """`items`: (tag, bytes | list of items) pairs; values above 255 bytes are split."""
    out = bytearray()
    for tag, value in items:
        if isinstance(value, list):
            value = encode(value)
        chunks = [value[i : i + 255] for i in range(0, len(value), 255)] or [b""]
        for chunk in chunks:
            out += bytes([tag, len(chunk)]) + chunk
    return bytes(out)


def items(data):
    """The (tag, value) pairs in their order, split values joined."""
    out, at, previous = [], 0, None
    while at < len(data):
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            raise ValueError(f"TLV8 cut short at byte {at} of {data.hex()}")
        tag, length = data[at], data[at + 1]
        value = data[at + 2 : at + 2 + length]
        if previous == (tag, 255):
            out[-1] = (tag, out[-1][1] + value)
        else:
            out.append((tag, value))
        previous = (tag, length)
        at += 2 + length
    return out


def decode(data):
    """The items as a dict; for lists without repeated tags."""
    found = {}
    for tag, value in items(data):
        if tag in found:
            raise ValueError(f"tag {tag:#x} twice in {data.hex()}")
        found[tag] = value
    return found


def u(value):
    return int.from_bytes(value, "little")
