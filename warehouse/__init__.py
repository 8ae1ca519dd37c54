"""The database: embedded or external PostgreSQL, its schema, migrations, roles and bulk copy."""
