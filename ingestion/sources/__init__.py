"""How each provider's tables are read: one function per provider that lists the extractions."""
