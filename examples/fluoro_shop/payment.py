"""payment: charges cards, in front of a bank that has its moods."""

import random
import secrets
import time

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

app = Flask(__name__)
MOODS = ["well", "slow", "declined", "busy", "broken"]
WEIGHTS = [76, 10, 7, 4, 3]


class BankUnreachableError(Exception):
    """The bank hung up."""


@app.post("/charges")
def charge() -> ResponseReturnValue:
    amount = request.get_json()["amount"]
    [mood] = random.choices(MOODS, WEIGHTS)
    time.sleep(ask_bank(mood))
    match mood:
        case "declined":
            return jsonify(error="the bank declined the card"), 402
        case "busy":
            return jsonify(error="too many charges at once"), 429, {"Retry-After": "0.2"}
        case "broken":
            raise BankUnreachableError("bank.example did not answer")
        case _:
            return jsonify(receipt=secrets.token_hex(6), amount=amount), 201


def ask_bank(mood: str) -> float:
    """Seconds until the bank has made up its mind."""
    if mood == "slow":
        return random.uniform(0.8, 2.0)
    return random.lognormvariate(-3.2, 0.4)  # around 40 ms
