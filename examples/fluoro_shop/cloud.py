"""cloud: AWS on this machine, by moto's server, with everything the shop expects to find in its account.

moto would run a Lambda function in Docker. Told not to, it answers an Invoke with the payload it was given.
"""

import argparse
import io
import json
import threading
import urllib.request
import zipfile
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

from fluoro_shop.assortment import SHELF, TEAS, picture

BUCKETS = ["shop-pictures", "shop-receipts"]
TABLES = {"products": "sku", "shipments": "number"}  # name: key


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5000)
    port = parser.parse_args().port
    ThreadedMotoServer("127.0.0.1", port, verbose=False).start()
    run_functions_without_docker(port)
    furnish()
    print("furnished", flush=True)
    threading.Event().wait()


def run_functions_without_docker(port: int) -> None:
    config = json.dumps({"lambda": {"use_docker": False}}).encode()
    urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/config", data=config, timeout=10).close()


def furnish() -> None:
    """Make tables, buckets, queue, topic and function, and fill the shelves."""
    dynamodb = boto3.resource("dynamodb").meta.client
    for table, key in TABLES.items():
        dynamodb.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    s3 = boto3.client("s3")
    for bucket in BUCKETS:
        s3.create_bucket(Bucket=bucket)
    for tea in TEAS:
        item = {"sku": tea.sku, "name": tea.name, "price": tea.price, "stock": SHELF}
        dynamodb.put_item(TableName="products", Item=item)
        s3.put_object(Bucket="shop-pictures", Key=f"{tea.sku}.svg", Body=picture(tea))
    boto3.client("sqs").create_queue(QueueName="orders")
    boto3.client("sns").create_topic(Name="order-events")
    create_function("fraud-check", Path(__file__).with_name("fraud_check.py"))


def create_function(name: str, source: Path) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = boto3.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.write(source, source.name)
    boto3.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=role,
        Handler=f"{source.stem}.handler",
        Code={"ZipFile": archive.getvalue()},
    )


if __name__ == "__main__":
    main()
