"""FastAPI: one service that calls another over HTTP. Nothing in this file is about tracing.

    fluoro run --service fastapi-shop python examples/fastapi_app.py
    curl http://127.0.0.1:8000/orders/7

You will see one trace of three spans, each in the one before: `GET /orders/{order}`, the call that it makes with httpx,
and `GET /stock/{product}`, which answers that call. (Both routes are in this file; they could be on two machines.)
"""

import os

import httpx
import uvicorn
from fastapi import FastAPI

PORT = int(os.environ.get("PORT", "8000"))
app = FastAPI()


@app.get("/orders/{order}")
async def order(order: int) -> dict[str, int]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{PORT}") as stock:
        answer = await stock.get("/stock/tea")
    return {"order": order, "left": answer.json()}


@app.get("/stock/{product}")
async def left(product: str) -> int:
    return len(product)


if __name__ == "__main__":
    uvicorn.run(app, port=PORT)
