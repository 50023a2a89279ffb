"""Model files as bytes, taken apart and put together."""

import io

from featrec.persistence._archive import pack, unpack


def packed(facts, members):
    """The bytes of a model file of these."""
    file = io.BytesIO()
    pack(file, facts, members)
    return file.getvalue()


def unpacked(data):
    """Its header's facts and its members."""
    return unpack(io.BytesIO(data))
