"""Pictures that are decoded whole, not by their header only."""

import io

from PIL import Image


def size(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.format == "JPEG"
    return image.size
