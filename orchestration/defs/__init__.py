"""The definitions, a folder per domain."""
