"""Makes the embedded photographs of flowers from the full set.

    python -m jaxgan.data.embedded.make_flowers FOLDER

FOLDER holds one sub-folder of JPEG files per kind (or `images128` with these), `val.txt`, which
lists the held-out files, and `LICENSE.txt`, which credits the photographer of each, as in
TensorFlow's set `flower_photos`. Each photograph is cut to its central square, resized to 64 pixels
(Lanczos) and encoded as WebP under its own name.
"""

from __future__ import annotations

import hashlib
import io
import pathlib
import sys
import zipfile
from collections.abc import Sequence

from PIL import Image

from jaxgan.data import flowers, resizing

SIDE = 64
QUALITY = 84
_TARGET = resizing.Target((SIDE, SIDE), "crop", 3)
_MOMENT = (1980, 1, 1, 0, 0, 0)  # one for all, so that the same images make the same archive


def encoded(path: pathlib.Path) -> bytes:
    """Returns the photograph as WebP."""
    content = io.BytesIO()
    with Image.open(path) as image:
        small = resizing.fit_image(image.convert("RGB"), _TARGET)
    small.save(content, "WEBP", quality=QUALITY, method=6)
    return content.getvalue()


def archive(folder: pathlib.Path) -> bytes:
    """Returns the archive of all photographs, as `flowers.unpack` reads it."""
    images = folder / "images128" if (folder / "images128").is_dir() else folder
    listed = (folder / flowers.HELD_OUT).read_text().split()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as file:
        held_out = "".join(f"{_renamed(name)}\n" for name in sorted(listed))
        file.writestr(_entry(flowers.HELD_OUT), held_out)
        for path in sorted(path for kind in flowers.CLASSES for path in images.glob(f"{kind}/*")):
            name = _renamed(path.relative_to(images).as_posix())
            file.writestr(_entry(name), encoded(path))
    return packed.getvalue()


def digest(names: Sequence[str], sources: Sequence[bytes], held_out: Sequence[bool]) -> str:
    """Returns the sha256, in hex, of what `flowers.unpack` gives."""
    contents = hashlib.sha256()
    for name, source, held in zip(names, sources, held_out, strict=True):
        contents.update(f"{name} {len(source)} {bool(held)}\n".encode() + source)
    return contents.hexdigest()


def _renamed(name: str) -> str:
    return pathlib.PurePosixPath(name).with_suffix(".webp").as_posix()


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, _MOMENT)


def main(folder: str) -> None:
    """Writes the archive and the credits of the photographs in the folder."""
    source, target = pathlib.Path(folder), pathlib.Path(__file__).parent
    (target / flowers.FILE).write_bytes(archive(source))
    (target / flowers.CREDITS).write_bytes((source / "LICENSE.txt").read_bytes())
    print(f"{target / flowers.FILE}: {(target / flowers.FILE).stat().st_size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
