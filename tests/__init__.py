"""The tests, a folder per room."""
