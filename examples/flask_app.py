"""Flask: a view that asks a database. Nothing in this file is about tracing.

    fluoro run --service flask-shop python examples/flask_app.py
    curl http://127.0.0.1:8000/prices/tea

You will see one trace of two spans: `GET /prices/{product}` of flask-shop, and in it the SELECT. Ask for a product that
is not there (/prices/gold) and the trace is an error (404). The statement at the start is a trace of its own.
"""

import os
import sqlite3

from flask import Flask, abort

app = Flask(__name__)
database = sqlite3.connect(":memory:", check_same_thread=False)
database.executescript("CREATE TABLE prices (product, pence); INSERT INTO prices VALUES ('tea', 320), ('cup', 900);")


@app.get("/prices/<product>")
def price(product):
    found = database.execute("SELECT pence FROM prices WHERE product = ?", (product,)).fetchone()
    if found is None:
        abort(404)
    return {"product": product, "pence": found[0]}


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8000")))
