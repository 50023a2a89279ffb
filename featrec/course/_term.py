"""Seeds of one term, drawn from the instructor's key."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from featrec.exceptions import InputError

__all__ = ["long_seed_of", "read_key", "seed_of"]

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
