"""Feature vectors as they are stored: small, and to the bit what the model saw.

What is kept is the matrix that the model was given, not the values that it was made from: with the
same version of the model it gives the same score, whatever became of the warehouse since. Nothing
in it names a person.
"""

import struct
import zlib
from typing import Any

import numpy as np

from leadengine.errors import LeadEngineError
from ml.schema import Matrix

_FORMAT = 1
_HEADER = struct.Struct("<BIH")
# From narrow to wide: each column is stored in the first type that holds it without loss.
_TYPES: tuple["np.dtype[np.floating[Any]]", ...] = (
    np.dtype("<f2"),
    np.dtype("<f4"),
    np.dtype("<f8"),
)


def pack(matrix: Matrix) -> bytes:
    """Rows of a matrix as bytes.

    Column by column, each in the narrowest of three floating-point types that holds all its values
    exactly, then deflated. Counts and codes thereby take two bytes before and hardly any after.

    Args:
        matrix: rows by features; every missing value is stored as the same NaN.
    """
    rows, columns = matrix.shape
    missing = np.isnan(matrix)
    canonical = np.where(missing, np.nan, matrix)
    header = _HEADER.pack(_FORMAT, rows, columns)
    widest = len(_TYPES) - 1
    if rows == 1:
        # Of a single row deflating alone saves nearly as much, in a tenth of the time.
        values = canonical.astype(_TYPES[widest], copy=False).tobytes()
        return zlib.compress(header + bytes([widest]) * columns + values, 1)
    kinds = np.full(columns, widest, dtype=np.uint8)
    with np.errstate(over="ignore"):
        for kind in range(widest - 1, -1, -1):
            narrow = matrix.astype(_TYPES[kind])
            same = (narrow == matrix) | missing
            kinds[same.all(axis=0)] = kind
    parts = [header, kinds.tobytes()]
    for kind, dtype in enumerate(_TYPES):
        parts.append(np.ascontiguousarray(canonical[:, kinds == kind].T, dtype=dtype).tobytes())
    return zlib.compress(b"".join(parts), 1)


def unpack(data: bytes) -> Matrix:
    """The reverse of :func:`pack`.

    Raises:
        LeadEngineError: these bytes are not of this form.
    """
    try:
        raw = zlib.decompress(data)
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
    except (zlib.error, struct.error, ValueError) as error:
        raise LeadEngineError(
            f"A stored feature vector cannot be read: {error}.",
            remedy="The row was changed by hand or by a newer version; score the lead again.",
        ) from error
    return matrix
