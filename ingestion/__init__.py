"""Loading: from the providers, and from files, into the ``raw_*`` schemas.

Each table is described once (:mod:`ingestion.tables`); :mod:`ingestion.load` is the way in.
"""
