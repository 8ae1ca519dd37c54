"""Dagster definitions: thin assets, checks, jobs, schedules and sensors over the other rooms."""
