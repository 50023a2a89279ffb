"""The images of the capstone: generated for one term, with labels that only the instructor's key can draw again."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from featrec.exceptions import InputError

__all__ = ["N_TEST", "N_TRAIN", "N_UNSEEN", "Capstone", "long_seed_of", "read_key", "seed_of"]


KEY_BYTES = 32


def seed_of(key: bytes, term: str, lesson: int, purpose: str) -> int:
    """Draw a seed from 0 to 2³¹ - 1 by HMAC-SHA256. It does not reveal the key or other seeds."""
    return int.from_bytes(_digest(key, term, str(lesson), purpose)[:4], "big") >> 1


def long_seed_of(key: bytes, term: str, purpose: str) -> int:
    """Draw a seed of 256 bits, which cannot be found by trying all seeds."""
    return int.from_bytes(_digest(key, term, purpose), "big")


def _digest(key: bytes, *parts: str) -> bytes:
    return hmac.new(key, "\n".join(parts).encode(), hashlib.sha256).digest()


def read_key(path: Path) -> bytes:
    """Read the instructor's key. If the file is missing, make a random key that only the owner can read."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) < KEY_BYTES:
        raise InputError(
            f"{path} is not a key: it must contain at least {2 * KEY_BYTES} hexadecimal digits. Name the file of your key with "
            "--key, or delete this file to make a new key, which changes all data of the course"
        )
    return key


N_TRAIN, N_TEST, N_UNSEEN = 320, 800, 800
# Objects of any hue, rotated by up to 63 degrees, behind and in front of clutter, in uneven light and noise.
DIFFICULTY = {"size": 64, "rotation": 0.35, "clutter": 0.6, "light": 0.6, "noise": 0.5, "color": 0.0}


@dataclass(frozen=True)
class Capstone:
    """Training images, test images without labels for students, and unseen images that are never given out.

    The seeds have 256 bits and come from HMAC-SHA256 of the key and the term. Without the key, labels cannot be looked up or
    generated.

    Parameters
    ----------
    key : bytes
        The instructor's key.
    term : str
    """

    key: bytes
    term: str

    @classmethod
    def recorded(cls, folder: str | Path, key: str | Path | None = None) -> Capstone:
        """Return the capstone of a course that was laid out.

        Parameters
        ----------
        folder : str or Path
            Folder of the course, in which ``instructor/course.json`` names the term.
        key : str or Path, optional
            File of the instructor's key. Default: ``instructor/key.txt``.

        Returns
        -------
        capstone : Capstone
        """
        record, secret = Path(folder, "instructor", "course.json"), Path(key or Path(folder, "instructor", "key.txt"))
        if not record.exists():
            raise InputError(f"{record} is missing; lay out the course first: featrec course {folder} --term TERM")
        if not secret.exists():
            raise InputError(f"{secret} is missing; name the file of your key with --key")
        return cls(read_key(secret), json.loads(record.read_text(encoding="utf-8"))["term"])

    def write(self, folder: Path) -> Path:
        """Write ``train/CLASS/0001.png`` and ``test/0001.png``. Other images in these folders are removed.

        Parameters
        ----------
        folder : Path

        Returns
        -------
        folder : Path
        """
        for old in (*folder.glob("train/*/*.png"), *folder.glob("test/*.png")):
            old.unlink()
        train, test = self._given_out.train, self.test()[0]
        for number, (image, label) in enumerate(zip(train, train.labels, strict=True), 1):
            _write(folder / "train" / str(label) / f"{number:04}.png", image)
        for number, image in enumerate(test, 1):
            _write(folder / "test" / f"{number:04}.png", image)
        return folder

    def test(self) -> tuple[np.ndarray, np.ndarray]:
        """Test images and their labels, in the order of their files."""
        return self._shuffled(self._given_out.test, "capstone order")

    def unseen(self) -> tuple[np.ndarray, np.ndarray]:
        """Images that no student has, and their labels."""
        return self._shuffled(self._draw("capstone unseen", 1, N_UNSEEN).test, "capstone unseen order")

    @cached_property
    def _given_out(self) -> Any:
        return self._draw("capstone", N_TRAIN, N_TEST)

    def _draw(self, purpose: str, n_train: int, n_test: int) -> Any:
        from featrec.datasets import load_dataset

        seed = long_seed_of(self.key, self.term, purpose)
        return load_dataset("shapes", n_train=n_train, n_test=n_test, random_state=seed, **DIFFICULTY)

    def _shuffled(self, part: Any, purpose: str) -> tuple[np.ndarray, np.ndarray]:
        order = np.random.default_rng(long_seed_of(self.key, self.term, purpose)).permutation(len(part))
        return np.stack(list(part))[order], np.asarray(part.labels)[order]


def _write(path: Path, image: np.ndarray) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(image)).save(path)
