"""Real leads from a file: a CRM export into ``raw_import.leads``, by a map of its columns."""

from ingestion.csv_import.importer import ImportReport, import_file
from ingestion.csv_import.mapping import ImportMap, MapError, read_map

__all__ = ["ImportMap", "ImportReport", "MapError", "import_file", "read_map"]
