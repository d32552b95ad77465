"""The function: its handler is `handler.handler`. Nothing in this file is about tracing; see invoke.py."""

import json
import sqlite3

database = sqlite3.connect(":memory:")


def handler(event, _context):
    product = event["pathParameters"]["product"]
    (pence,) = database.execute("SELECT length(?) * 100", (product,)).fetchone()
    return {"statusCode": 200, "body": json.dumps({"product": product, "pence": pence})}
