"""load: the public. Customers who mostly look and sometimes buy, the odd crawler, and a rush now and then."""

import argparse
import asyncio
import os
import random
import time
from collections.abc import Iterator

import httpx

from fluoro_shop.assortment import TEAS

CUSTOMERS = ["Ada", "Barbara", "Edsger", "Grace", "Katherine", "Ken", "Leslie", "Margaret", "Radia", "Tim"]
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CRAWLER = "Mozilla/5.0 (compatible; ExampleBot/2.1; +http://bot.example)"
PAGES_PER_VISIT = 6.5  # on average, redirects included
RUSH_EVERY, RUSH_LASTS, RUSH_FACTOR = 60.0, 8.0, 3.0  # seconds, seconds, times


async def look_around(client: httpx.AsyncClient) -> str:
    """Some pages of the shop; the last tea looked at."""
    await client.get("/")
    for _ in range(random.randint(1, 4)):
        sku = random.choice(TEAS).sku
        await client.get(f"/products/{sku}")
        if random.random() < 0.5:
            await client.get(f"/products/{sku}/picture")
        await asyncio.sleep(random.uniform(0.2, 1.5))
    return sku


async def buy(client: httpx.AsyncClient, sku: str) -> None:
    for tea in {sku, random.choice(TEAS).sku}:
        await client.post("/cart", data={"sku": tea})
    response = await client.post("/checkout", data={"customer": random.choice(CUSTOMERS)})
    if response.status_code >= 500 and random.random() < 0.7:  # most people try again
        await asyncio.sleep(1)
        await client.post("/checkout", data={"customer": random.choice(CUSTOMERS)})


async def crawl(client: httpx.AsyncClient) -> None:
    client.headers["User-Agent"] = CRAWLER
    for path in random.sample(["/wp-login.php", "/.env", "/products/coffee", "/robots.txt", "/", "/admin"], 3):
        await client.get(path)


async def visit(shop: str) -> None:
    """A new visitor, with an empty cart. The shop is plain HTTP: without `verify` no certificates are loaded."""
    headers = {"User-Agent": BROWSER}
    visitor = httpx.AsyncClient(base_url=shop, headers=headers, timeout=30, follow_redirects=True, verify=False)
    async with visitor as client:
        try:
            if random.random() < 0.08:
                await crawl(client)
                return
            sku = await look_around(client)
            if random.random() < 0.35:
                await buy(client, sku)
        except httpx.TransportError as error:
            print(f"left the shop: {error!r}", flush=True)


def pauses(rate: float) -> Iterator[float]:
    """Seconds until the next visit, for `rate` requests a second over time: random, and shorter in a rush."""
    rush_share = RUSH_LASTS / RUSH_EVERY
    calm = rate / PAGES_PER_VISIT / (1 - rush_share + rush_share * RUSH_FACTOR)
    while True:
        rush = time.monotonic() % RUSH_EVERY < RUSH_LASTS
        yield random.expovariate(calm * RUSH_FACTOR if rush else calm)


async def serve(shop: str, rate: float) -> None:
    visits: set[asyncio.Task[None]] = set()
    for pause in pauses(rate):
        task = asyncio.create_task(visit(shop))
        visits.add(task)
        task.add_done_callback(visits.discard)
        await asyncio.sleep(pause)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=6.0, help="requests a second (default: 6)")
    asyncio.run(serve(os.environ["STOREFRONT_URL"], parser.parse_args().rate))


if __name__ == "__main__":
    main()
