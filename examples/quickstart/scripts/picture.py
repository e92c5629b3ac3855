"""Draw a table of counts as a PNG picture, with the standard library alone."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

CELL = 80  # pixels
GAP = 4  # pixels


def save_counts(counts: np.ndarray, path: Path) -> None:
    """Draw one square per count: white for 0, darker for a larger share of its row."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    dark = np.array([20, 70, 130])
    colors = (255 - shares[..., None] * (255 - dark)).astype(np.uint8)
    image = colors.repeat(CELL, axis=0).repeat(CELL, axis=1)
    for line in range(0, image.shape[0], CELL):
        image[line : line + GAP] = image[:, line : line + GAP] = 200
    path.write_bytes(_png(image))


def _png(image: np.ndarray) -> bytes:
    """Encode height x width x 3 bytes as PNG: signature, header, one data chunk, end (PNG specification, part 5)."""
    height, width, _ = image.shape
    rows = b"".join(b"\0" + row.tobytes() for row in image)  # each row begins with filter type 0
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
