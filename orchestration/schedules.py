"""When jobs run by themselves. Off until LEADENGINE_SCHEDULES is ``on``."""

import dagster as dg

from orchestration.jobs import hourly_refresh, train, watch, writeback
from orchestration.switches import schedule_status

refresh_every_hour = dg.ScheduleDefinition(
    name="refresh_every_hour",
    job=hourly_refresh,
    cron_schedule="5 * * * *",
    execution_timezone="UTC",
    default_status=schedule_status(),
)
write_back_every_hour = dg.ScheduleDefinition(
    name="write_back_every_hour",
    job=writeback,
    cron_schedule="35 * * * *",
    execution_timezone="UTC",
    default_status=schedule_status(),
)
train_every_week = dg.ScheduleDefinition(
    name="train_every_week",
    job=train,
    cron_schedule="20 9 * * 1",
    execution_timezone="UTC",
    default_status=schedule_status(),
)
watch_every_day = dg.ScheduleDefinition(
    name="watch_every_day",
    job=watch,
    cron_schedule="50 8 * * *",
    execution_timezone="UTC",
    default_status=schedule_status(),
)

ALL_SCHEDULES = [refresh_every_hour, write_back_every_hour, train_every_week, watch_every_day]
