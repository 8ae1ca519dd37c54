"""The collector is off for as long as it is asked to be, and no longer."""

import gc

import pytest

from leadengine.memory import collector_paused


def test_the_collector_comes_back_after_the_outermost_pause() -> None:
    assert gc.isenabled()
    with collector_paused():
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_collector_comes_back_after_an_error() -> None:
    with pytest.raises(ValueError, match="midway"), collector_paused():
        raise ValueError("midway")
    assert gc.isenabled()


def test_who_had_it_off_keeps_it_off() -> None:
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
