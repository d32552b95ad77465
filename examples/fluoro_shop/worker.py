"""worker: packs what was paid. Takes orders off the queue, takes tea off the shelf, files the receipt."""

import json
import os
from typing import Any

import boto3

from fluoro_shop.assortment import SHELF

sqs = boto3.client("sqs")
s3 = boto3.client("s3")
dynamodb = boto3.resource("dynamodb").meta.client


def main() -> None:
    queue_url = os.environ["ORDERS_QUEUE_URL"]
    print("waiting for orders", flush=True)
    while True:
        response = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=5, WaitTimeSeconds=5)
        for message in response.get("Messages", []):
            pack(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


def pack(order: dict[str, Any]) -> None:
    for line in order["lines"]:
        take_off_shelf(line["sku"], line["quantity"])
    dynamodb.put_item(TableName="shipments", Item={"number": order["number"], "customer": order["customer"]})
    s3.put_object(Bucket="shop-receipts", Key=f"{order['number']}.json", Body=json.dumps(order, indent=2))
    print("packed", order["number"], flush=True)


def take_off_shelf(sku: str, quantity: int) -> None:
    try:
        dynamodb.update_item(
            TableName="products",
            Key={"sku": sku},
            UpdateExpression="SET stock = stock - :quantity",
            ConditionExpression="stock >= :quantity",
            ExpressionAttributeValues={":quantity": quantity},
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:  # sold out: a new box from the cellar
        dynamodb.update_item(
            TableName="products",
            Key={"sku": sku},
            UpdateExpression="SET stock = :stock",
            ExpressionAttributeValues={":stock": SHELF - quantity},
        )


if __name__ == "__main__":
    main()
