"""Schedules and sensors are off until a deployment says otherwise."""

import os

import dagster as dg

VARIABLE = "LEADENGINE_SCHEDULES"


def _on() -> bool:
    return os.environ.get(VARIABLE, "off").lower() in {"on", "1", "true", "yes"}


def schedule_status() -> dg.DefaultScheduleStatus:
    """Running where LEADENGINE_SCHEDULES is ``on``; stopped elsewhere."""
    return dg.DefaultScheduleStatus.RUNNING if _on() else dg.DefaultScheduleStatus.STOPPED


def sensor_status() -> dg.DefaultSensorStatus:
    """Running where LEADENGINE_SCHEDULES is ``on``; stopped elsewhere."""
    return dg.DefaultSensorStatus.RUNNING if _on() else dg.DefaultSensorStatus.STOPPED
