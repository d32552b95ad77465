"""A Celery application for tests: its worker runs it in a process of its own, the test sends its messages."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.exceptions import Ignore, Reject

app = Celery(
    "shop",
    broker=os.environ.get("CELERY_SHOP_BROKER"),
    backend=os.environ.get("CELERY_SHOP_RESULTS"),
)
app.conf.update(
    broker_connection_retry_on_startup=True, task_send_sent_event=True, task_routes={"shop.ship": {"queue": "parcels"}}
)


@app.task(name="shop.charge")
def charge(amount: Any) -> Any:
    return amount


@app.task(name="shop.ship")
def ship() -> None:
    return None


@app.task(name="shop.total")
def total(amounts: list[int]) -> int:
    return sum(amounts)


@app.task(name="shop.order")
def order() -> None:
    charge.delay(1)


@app.task(name="shop.fail")
def fail() -> None:
    raise ValueError("no such card")


@app.task(name="shop.flaky", bind=True, max_retries=1)
def flaky(self: Any) -> int:
    if self.request.retries == 0:
        raise self.retry(countdown=0, exc=ValueError("try again"))
    return int(self.request.retries)


@app.task(name="shop.ignore")
def ignore() -> None:
    raise Ignore


@app.task(name="shop.reject", acks_late=True)
def reject() -> None:
    raise Reject("no", requeue=False)
