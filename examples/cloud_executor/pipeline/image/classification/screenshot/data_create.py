"""Draw the raw data: grey pictures that look like photos, and others that look like screenshots (CC0)."""

import numpy as np

from azureml_wrapper import file_paths

SIDE, COUNT = 96, 60
random = np.random.default_rng(7)


def photo():
    """Return a picture of soft shades with sensor noise."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    waves = sum(np.sin(6 * random.random() * x + 6 * random.random() * y + 6 * random.random()) for _ in range(4))
    return np.clip(128 + 25 * waves + random.normal(0, 6, (SIDE, SIDE)), 0, 255)


def screenshot():
    """Return windows and lines of text: flat areas with sharp edges and little noise."""
    picture = np.full((SIDE, SIDE), random.integers(180, 255), float)
    for _ in range(6):
        top, left = random.integers(0, SIDE - 20, 2)
        picture[top : top + random.integers(8, 40), left : left + random.integers(8, 60)] = random.integers(0, 255)
    return np.clip(picture + random.normal(0, 3, (SIDE, SIDE)), 0, 255)


for label, draw in (("photo", photo), ("screenshot", screenshot)):
    folder = file_paths.raw_path("image", "classification", "screenshot", label)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(COUNT):
        pixels = draw().astype(np.uint8)
        header = f"P5 {SIDE} {SIDE} 255\n".encode()
        (folder / f"{label} {number:03d}.pgm").write_bytes(header + pixels.tobytes())
print(f"{2 * COUNT} pictures in {file_paths.raw_path()}")
