"""catalog: what is for sale (DynamoDB) and what it looks like (S3)."""

import boto3
from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel

app = FastAPI(title="catalog")
dynamodb = boto3.resource("dynamodb").meta.client  # speaks plain Python values
s3 = boto3.client("s3")


class Product(BaseModel):
    sku: str
    name: str
    price: int
    stock: int


@app.get("/products")
def list_products() -> list[Product]:
    items = dynamodb.scan(TableName="products")["Items"]
    return sorted((Product(**item) for item in items), key=lambda product: product.name)


@app.get("/products/{sku}")
def read_product(sku: str) -> Product:
    found = dynamodb.get_item(TableName="products", Key={"sku": sku})
    if "Item" not in found:
        raise HTTPException(404, f"no tea is called {sku}")
    return Product(**found["Item"])


@app.get("/products/{sku}/picture")
def read_picture(sku: str) -> Response:
    try:
        picture = s3.get_object(Bucket="shop-pictures", Key=f"{sku}.svg")
    except s3.exceptions.NoSuchKey:
        raise HTTPException(404, f"no picture of {sku}") from None
    return Response(picture["Body"].read(), media_type="image/svg+xml")
