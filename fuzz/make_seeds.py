"""Write the seeds of the fuzzers: small valid files. Run it again after adding a format."""

import io
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

SEEDS = Path(__file__).parent / "seeds"


def images():
    values = np.random.default_rng(0).integers(0, 256, (12, 10, 4), dtype=np.uint8)
    colour = Image.fromarray(values[..., :3])
    yield from ((f"rgb_{name}", colour, kind, options) for name, kind, options in KINDS)
    for mode, source in (("L", values[..., 0]), ("LA", values[..., :2]), ("RGBA", values)):
        image = Image.fromarray(np.ascontiguousarray(source), mode)
        for kind in ("PNG", "TIFF", "WEBP"):
            yield f"{mode}_{kind}", image, kind, {}
    yield "gray_jpeg", colour.convert("L"), "JPEG", {}
    yield "cmyk_jpeg", colour.convert("CMYK"), "JPEG", {}
    yield "palette_png", colour.quantize(16), "PNG", {"transparency": 3}
    yield "palette_gif", colour.quantize(16), "GIF", {"transparency": 3}
    yield "palette_bmp", colour.quantize(16), "BMP", {}
    yield "one_bit_png", colour.convert("1"), "PNG", {}
    yield "one_bit_pbm", colour.convert("1"), "PPM", {}
    yield "fax_tiff", colour.convert("1"), "TIFF", {"compression": "group4"}
    yield "sixteen_png", Image.fromarray(values[..., 0].astype(np.uint16) * 257), "PNG", {}
    yield "float_tiff", Image.fromarray(values[..., 0].astype(np.float32) / 255), "TIFF", {}
    frames = {"save_all": True, "append_images": [colour.rotate(90)]}
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        yield f"frames_{kind}", colour, kind, frames


EXIF = Image.Exif()
EXIF[274] = 6
KINDS = (
    ("jpeg", "JPEG", {"exif": EXIF}),
    ("progressive", "JPEG", {"progressive": True}),
    ("png", "PNG", {"exif": EXIF}),
    ("gif", "GIF", {}),
    ("bmp", "BMP", {}),
    ("ppm", "PPM", {}),
    ("tiff", "TIFF", {}),
    ("lzw_tiff", "TIFF", {"compression": "tiff_lzw"}),
    ("deflate_tiff", "TIFF", {"compression": "tiff_adobe_deflate"}),
    ("jpeg_tiff", "TIFF", {"compression": "jpeg"}),
    ("webp", "WEBP", {}),
    ("lossless_webp", "WEBP", {"lossless": True}),
    ("avif", "AVIF", {}),
    ("jpeg2000", "JPEG2000", {}),
    ("qoi", "QOI", {}),
    ("sgi", "SGI", {}),
)


def write(folder: str, name: str, data: bytes) -> None:
    path = SEEDS / folder / name.lower()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_images() -> None:
    for name, image, kind, options in images():
        file = io.BytesIO()
        image.save(file, kind, **options)
        write("read_image", name, file.getvalue())


def write_archives() -> None:
    file = io.BytesIO()
    Image.new("L", (3, 2), 9).save(file, "PNG")
    image, table = file.getvalue(), b"path,label\ncat/a.png,cat\ndog/b.png,dog\n"
    members = [("cat/a.png", image), ("dog/b.png", image), ("labels.csv", table)]
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", compression) as archive:
            for name, data in members:
                archive.writestr(zipfile.ZipInfo(name), data, compression)
        write("archive", f"zip{compression}", file.getvalue())
    for kind in ("w:", "w:gz"):
        for layout in (tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
            file = io.BytesIO()
            with tarfile.open(fileobj=file, mode=kind, format=layout) as archive:
                for name, data in members:
                    entry = tarfile.TarInfo(name)
                    entry.size = len(data)
                    archive.addfile(entry, io.BytesIO(data))
            write("archive", f"tar{kind[2:]}{layout}", file.getvalue())


def write_models() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    from featrec.descriptors import TinyImage
    from featrec.persistence import save

    images = np.random.default_rng(0).integers(0, 256, (8, 6, 6), dtype=np.uint8)
    labels = np.array(["cat", "dog"] * 4)
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    for classifier in (LogisticRegression(), SVC(), tree, KNeighborsClassifier(1, algorithm="kd_tree")):
        model = make_pipeline(TinyImage(size=(2, 2)), classifier).fit(images, labels)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model")
            save(model, path)
            write("load", type(classifier).__name__, path.read_bytes())


if __name__ == "__main__":
    write_images()
    write_archives()
    write_models()
