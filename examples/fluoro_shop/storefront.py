"""storefront: the pages a customer sees. Knows nothing itself; asks catalog and orders."""

import os
from typing import Any

import requests
from flask import Flask, Response, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

CATALOG = os.environ["CATALOG_URL"]
ORDERS = os.environ["ORDERS_URL"]

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
app.template_filter("money")(lambda cents: f"{cents / 100:.2f} €")


def fetch(url: str) -> requests.Response:
    """The answer of another service; its 404 is our 404."""
    response = requests.get(url, timeout=10)
    if response.status_code == 404:
        abort(404)
    response.raise_for_status()
    return response


@app.get("/")
def home() -> str:
    return render_template("home.html", products=fetch(f"{CATALOG}/products").json())


@app.get("/products/<sku>")
def product(sku: str) -> str:
    return render_template("product.html", product=fetch(f"{CATALOG}/products/{sku}").json())


@app.get("/products/<sku>/picture")
def picture(sku: str) -> Response:
    found = fetch(f"{CATALOG}/products/{sku}/picture")
    return Response(found.content, mimetype=found.headers["Content-Type"], headers={"Cache-Control": "max-age=3600"})


@app.post("/cart")
def add_to_cart() -> ResponseReturnValue:
    sku = request.form["sku"]
    cart = session.get("cart", {})
    session["cart"] = {**cart, sku: cart.get(sku, 0) + 1}
    return redirect(url_for("cart"), 303)


@app.get("/cart")
def cart() -> str:
    lines = cart_lines()
    return render_template("cart.html", lines=lines, total=sum(line["price"] * line["quantity"] for line in lines))


@app.post("/checkout")
def checkout() -> ResponseReturnValue:
    lines = cart_lines()
    if not lines:
        return redirect(url_for("cart"), 303)
    order = {"customer": request.form["customer"], "lines": lines}
    response = requests.post(f"{ORDERS}/orders", json=order, timeout=20)
    if not response.ok:
        return render_template("sorry.html", reason=response.json()["detail"]), response.status_code
    session.pop("cart")
    return redirect(url_for("order", number=response.json()["number"]), 303)


@app.get("/orders/<number>")
def order(number: str) -> str:
    return render_template("order.html", order=fetch(f"{ORDERS}/orders/{number}").json())


def cart_lines() -> list[dict[str, Any]]:
    """The cart with today's names and prices."""
    cart: dict[str, int] = session.get("cart", {})
    return [{**fetch(f"{CATALOG}/products/{sku}").json(), "quantity": quantity} for sku, quantity in cart.items()]
