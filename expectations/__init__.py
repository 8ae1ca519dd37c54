"""Great Expectations on the raw tables: whether what was loaded can be built upon."""
