"""Feature vectors as they are stored: small, and to the bit what the model saw.

What is kept is the matrix that the model was given, not the values that it was made from: with the
same version of the model it gives the same score, whatever became of the warehouse since. Nothing
in it names a person.
"""

import struct
import zlib
from typing import Any

import numpy as np
import pyarrow as pa

from leadengine.errors import LeadEngineError
from ml.schema import Matrix

# The first byte tells how the rest is packed; the size of what was packed follows, then the codec's
# own bytes.
_ZSTD, _SNAPPY = 2, 3
_CODECS = {_ZSTD: "zstd", _SNAPPY: "snappy"}
_SIZED = struct.Struct("<BI")
# zlib's first byte: of what earlier versions stored.
_DEFLATED = 0x78
_FORMAT = 1
_HEADER = struct.Struct("<BIH")
# More than a block of any schema that PostgreSQL could hold, little enough to be made room for.
_MOST_BYTES = 1 << 28
# From narrow to wide: each column is stored in the first type that holds it without loss.
_TYPES: tuple["np.dtype[np.floating[Any]]", ...] = (
    np.dtype("<f2"),
    np.dtype("<f4"),
    np.dtype("<f8"),
)


def pack(matrix: Matrix) -> bytes:
    """Rows of a matrix as bytes.

    Column by column, each in the narrowest of three floating-point types that holds all its values
    exactly, then compressed by zstd. Counts and codes thereby take two bytes before and hardly any
    after. A single row is compressed as it is, by Snappy: in a tenth of the time to an eighth more.

    Args:
        matrix: rows by features; every missing value is stored as the same NaN.
    """
    rows, columns = matrix.shape
    missing = np.isnan(matrix)
    canonical = np.where(missing, np.nan, matrix)
    header = _HEADER.pack(_FORMAT, rows, columns)
    widest = len(_TYPES) - 1
    if rows == 1:
        values = canonical.astype(_TYPES[widest], copy=False).tobytes()
        return _compressed(_SNAPPY, header + bytes([widest]) * columns + values)
    kinds = np.full(columns, widest, dtype=np.uint8)
    with np.errstate(over="ignore"):
        for kind in range(widest - 1, -1, -1):
            narrow = matrix.astype(_TYPES[kind])
            same = (narrow == matrix) | missing
            kinds[same.all(axis=0)] = kind
    parts = [header, kinds.tobytes()]
    for kind, dtype in enumerate(_TYPES):
        parts.append(np.ascontiguousarray(canonical[:, kinds == kind].T, dtype=dtype).tobytes())
    return _compressed(_ZSTD, b"".join(parts))


def unpack(data: bytes) -> Matrix:
    """The reverse of :func:`pack`.

    Raises:
        LeadEngineError: these bytes are not of this form.
    """
    try:
        raw = _raw(data)
        form, rows, columns = _HEADER.unpack_from(raw)
        if form != _FORMAT:
            raise ValueError(f"format {form}, this version reads {_FORMAT}")
        kinds = np.frombuffer(raw, np.uint8, columns, _HEADER.size)
        place = _HEADER.size + columns
        matrix = np.empty((rows, columns))
        for kind, dtype in enumerate(_TYPES):
            of_kind = kinds == kind
            count = int(of_kind.sum()) * rows
            values = np.frombuffer(raw, dtype, count, place).reshape(-1, rows)
            matrix[:, of_kind] = values.T
            place += count * dtype.itemsize
        if place != len(raw):
            raise ValueError(f"{len(raw)} bytes, {place} expected")
    except (zlib.error, struct.error, pa.ArrowException, OSError, ValueError) as error:
        raise LeadEngineError(
            f"A stored feature vector cannot be read: {error}.",
            remedy="The row was changed by hand or by a newer version; score the lead again.",
        ) from error
    return matrix


def _compressed(method: int, raw: bytes) -> bytes:
    # Blocks are packed on a thread of their own, so that a codec is not shared.
    codec = pa.Codec(_CODECS[method], compression_level=1 if method == _ZSTD else None)
    packed: bytes = codec.compress(raw, asbytes=True)
    return _SIZED.pack(method, len(raw)) + packed


def _raw(data: bytes) -> bytes:
    if data[:1] == bytes([_DEFLATED]):
        return zlib.decompress(data)
    method, size = _SIZED.unpack_from(data)
    if method not in _CODECS:
        raise ValueError(f"packed by method {method}, this version knows {sorted(_CODECS)}")
    if size > _MOST_BYTES:
        raise ValueError(f"{size} bytes, {_MOST_BYTES} at most")
    raw: bytes = pa.Codec(_CODECS[method]).decompress(data[_SIZED.size :], size, asbytes=True)
    return raw
