"""A worker: Celery tasks, and a program that sends one. Nothing in this file is about tracing.

    fluoro run --service kitchen celery --workdir examples -A celery_worker worker --concurrency 1
    fluoro run --service waiter python examples/celery_worker.py

You will see one trace of four spans, each in the one before: `send celery_worker.cook` of the waiter, `celery_worker.cook`
of the kitchen, `send celery_worker.wash_up`, and `celery_worker.wash_up`, all across a queue (here: files).
"""

import tempfile
from pathlib import Path

from celery import Celery

queue = Path(tempfile.gettempdir(), "fluoro-example-queue")
queue.mkdir(exist_ok=True)
app = Celery("celery_worker", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": str(queue),
    "data_folder_out": str(queue),
    "control_folder": str(queue / "control"),
    "polling_interval": 0.1,
}


@app.task
def cook(dish, plates):
    wash_up.delay(plates)
    return f"{plates} × {dish}"


@app.task
def wash_up(plates):
    return plates


if __name__ == "__main__":
    cook.delay("porridge", 2)
