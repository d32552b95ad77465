"""orders: checks an order, has the card charged, books it, tells everyone who must know."""

import asyncio
import json
import os
import secrets
from typing import Any

import boto3
import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from fluoro_shop.order_book import OrderBook

app = FastAPI(title="orders")
book = OrderBook(os.environ["ORDER_BOOK"])
payment = httpx.AsyncClient(base_url=os.environ["PAYMENT_URL"], timeout=10)
functions, topics, queues = boto3.client("lambda"), boto3.client("sns"), boto3.client("sqs")


class Line(BaseModel):
    sku: str
    price: int
    quantity: int


class Order(BaseModel):
    customer: str
    lines: list[Line]


@app.post("/orders", status_code=201)
async def place_order(order: Order) -> dict[str, Any]:
    number = secrets.token_hex(4)
    slip: dict[str, Any] = {
        "number": number,
        "customer": order.customer,
        "total": sum(line.price * line.quantity for line in order.lines),
        "lines": [line.model_dump() for line in order.lines],
    }
    if await asyncio.to_thread(looks_fraudulent, slip):
        raise HTTPException(403, "please call us about this order")
    await asyncio.to_thread(book.add, number, slip["total"])
    await charge(slip)
    await asyncio.to_thread(book.set_state, number, "paid")
    await asyncio.to_thread(announce, slip)
    return slip


@app.get("/orders/{number}")
def read_order(number: str) -> dict[str, str]:
    state = book.state(number)
    if state is None:
        raise HTTPException(404, f"no order has the number {number}")
    return {"number": number, "state": state}


def looks_fraudulent(slip: dict[str, Any]) -> bool:
    answer = functions.invoke(FunctionName="fraud-check", Payload=json.dumps(slip))
    return bool(json.load(answer["Payload"]).get("hold"))


async def charge(slip: dict[str, Any]) -> None:
    card = {"order": slip["number"], "amount": slip["total"]}
    response = await payment.post("/charges", json=card)
    if response.status_code == 429:  # busy: one more try
        await asyncio.sleep(float(response.headers["Retry-After"]))
        response = await payment.post("/charges", json=card)
    if response.status_code == 402:
        raise HTTPException(402, "your bank declined the card")
    if response.is_error:
        raise HTTPException(503, "we can't take payments right now")


def announce(slip: dict[str, Any]) -> None:
    message = json.dumps(slip)
    queues.send_message(QueueUrl=os.environ["ORDERS_QUEUE_URL"], MessageBody=message)
    topics.publish(TopicArn=os.environ["ORDER_EVENTS_TOPIC_ARN"], Subject="order paid", Message=message)
