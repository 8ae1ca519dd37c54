"""Tests of the room leadengine."""
