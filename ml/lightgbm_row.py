"""One row through LightGBM's C interface for single rows.

``Booster.predict`` sets up a prediction anew at each call, which for a single row takes several
times as long as the trees. LightGBM's C interface sets it up once and gives the same bits
(``LGBM_BoosterPredictForMatSingleRowFastInit``); its Python package does not pass that on. Source:
https://lightgbm.readthedocs.io/en/stable/C-API.html
"""

import ctypes
import threading
import weakref
from functools import cache
from pathlib import Path

import lightgbm
import numpy as np

from ml.schema import Matrix

# Of LightGBM's c_api.h.
_FLOAT64 = 1
_RAW_SCORE = 1
_CONTRIBUTIONS = 3
_ALL_TREES = -1


class OneRow:
    """The trees of a model, set up for one row at a time; safe to use from several threads.

    Args:
        model: LightGBM's own text.
        features: how many columns a row has.
    """

    def __init__(self, model: str, features: int) -> None:
        booster, trees = ctypes.c_void_p(), ctypes.c_int()
        _call(
            "LGBM_BoosterLoadModelFromString",
            ctypes.c_char_p(model.encode()), ctypes.byref(trees), ctypes.byref(booster),
        )  # fmt: skip
        weakref.finalize(self, _call, "LGBM_BoosterFree", booster)
        # Rows and results pass through the same places each time, so that their addresses are
        # made once.
        self._lock = threading.Lock()
        self._row = np.empty((1, features))
        self._ready = {
            wants: _Ready(booster, kind, self._row, np.empty((1, width) if wants else width))
            for wants, kind, width in ((False, _RAW_SCORE, 1), (True, _CONTRIBUTIONS, features + 1))
        }

    def predict(self, matrix: Matrix, *, contributions: bool) -> Matrix:
        """What ``Booster.predict`` gives for a matrix of one row, to the bit.

        Args:
            matrix: one row of ``features`` columns.
            contributions: per feature and the base last, instead of the log-odds.
        """
        if matrix.shape != self._row.shape:
            raise ValueError(f"{matrix.shape} is not one row of {self._row.shape[1]} features")
        with self._lock:
            self._row[:] = matrix
            return self._ready[contributions].run()


class _Ready:
    """One kind of prediction, with the places that it reads from and writes to."""

    def __init__(self, booster: ctypes.c_void_p, kind: int, row: Matrix, out: Matrix) -> None:
        self._out, self._count, ready = out, ctypes.c_int64(), ctypes.c_void_p()
        _call(
            "LGBM_BoosterPredictForMatSingleRowFastInit",
            booster, ctypes.c_int(kind), ctypes.c_int(0), ctypes.c_int(_ALL_TREES),
            ctypes.c_int(_FLOAT64), ctypes.c_int32(row.shape[1]),
            ctypes.c_char_p(b"num_threads=1"), ctypes.byref(ready),
        )  # fmt: skip
        weakref.finalize(self, _call, "LGBM_FastConfigFree", ready)
        self._arguments = (
            ready, ctypes.c_void_p(row.ctypes.data), ctypes.byref(self._count),
            ctypes.c_void_p(out.ctypes.data),
        )  # fmt: skip

    def run(self) -> Matrix:
        """The prediction for the row at hand."""
        _call("LGBM_BoosterPredictForMatSingleRowFast", *self._arguments)
        if self._count.value != self._out.size:
            raise ValueError(f"LightGBM gave {self._count.value} values, not {self._out.size}")
        return self._out.copy()


def _call(function: str, *arguments: object) -> None:
    if getattr(_library(), function)(*arguments) != 0:
        raise lightgbm.basic.LightGBMError(_last_error())


def _last_error() -> str:
    said = _library().LGBM_GetLastError
    said.restype = ctypes.c_char_p
    return bytes(said()).decode()


@cache
def _library() -> ctypes.CDLL:
    """LightGBM's library, which its package has loaded already."""
    (path,) = (Path(lightgbm.__file__).parent / "lib").glob("*lightgbm.*")
    return ctypes.CDLL(str(path))
