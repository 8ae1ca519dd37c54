"""One class per loaded entity: the columns of its table and what counts as a valid record."""
