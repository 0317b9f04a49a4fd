"""A month of sales that lands becomes the champion, or a record that says why not. No model code is imported."""

from __future__ import annotations

from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable, dag
from landing_trigger import MonthLanded
from phase3_tasks import LANDING, MONTH, VERSION, phase3

landing = Asset("landing_zone", watchers=[AssetWatcher(name="month_landed", trigger=MonthLanded(LANDING))])
# The second of each month at 06:00 UTC: it finds a month whose event was lost.
monthly = CronTriggerTimetable("0 6 2 * *", timezone="UTC")


@dag(
    schedule=AssetOrTimeSchedule(timetable=monthly, assets=landing),
    catchup=False,
    max_active_runs=1,
    tags=["house-prices"],
    doc_md=__doc__,
)
def train_house_prices() -> None:
    """Take the oldest landed month without a decision; while more months wait, the last task starts the next run."""
    oldest = phase3("next-month", "--exit-code")
    prepare = phase3("prepare")
    train = phase3("train", "--exit-code", "--month", MONTH)
    evaluate = phase3("evaluate", "--exit-code", "--version", VERSION)
    promote = phase3("promote", "--version", VERSION)
    more = phase3("next-month", "--exit-code", task_id="more", outlets=[landing], trigger_rule="none_failed")

    oldest >> prepare >> train >> evaluate >> promote >> more


train_house_prices()
