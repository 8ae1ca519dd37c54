"""Great Expectations on the raw tables as blocking checks, and what was set aside."""
