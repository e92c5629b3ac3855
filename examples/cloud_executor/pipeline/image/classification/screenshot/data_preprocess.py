"""Make one file of 64x64 pictures for the training from the raw ones."""

import numpy as np

from azureml_wrapper import file_paths

SIDE = 64


def read(file):
    """Return a grey picture of 64x64 with values between 0 and 1; the raw ones are 96x96."""
    header, _, content = file.read_bytes().partition(b"\n")
    width, height = map(int, header.split()[1:3])
    pixels = np.frombuffer(content, np.uint8).reshape(height, width)
    rows, columns = np.arange(SIDE) * height // SIDE, np.arange(SIDE) * width // SIDE
    return pixels[np.ix_(rows, columns)] / np.float32(255)


raw = file_paths.raw_path("image", "classification", "screenshot")
files = sorted(raw.rglob("*.pgm"))
target = file_paths.working_path("image", "classification", "screenshot", "preprocessednpk", "64x64")
target.mkdir(parents=True, exist_ok=True)
np.savez_compressed(
    target / "pictures.npz",
    pictures=np.stack([read(file) for file in files]),
    is_screenshot=np.array([file.parent.name == "screenshot" for file in files]),
)
print(f"{len(files)} pictures in {target}")
