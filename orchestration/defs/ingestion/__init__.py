"""Loading: an asset per raw table, and the sensor that notices new CRM data."""
