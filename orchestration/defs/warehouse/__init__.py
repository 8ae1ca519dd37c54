"""The dbt project: each model an asset, each dbt test an asset check."""
