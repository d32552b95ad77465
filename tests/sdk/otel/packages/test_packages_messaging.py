"""Queues: a message's sender and receiver are one trace, through packages of OpenTelemetry, on a real broker where there
is one.
"""

from __future__ import annotations

import asyncio

import pytest

import fluoro
from fluoro.model import Kind

pytestmark = [pytest.mark.packages, pytest.mark.filterwarnings("default")]  # the packages' own


def one_trace(sent, received, queue: str) -> None:
    assert (sent.kind, sent.namespace, sent.name) == (Kind.PRODUCER, "remote", queue)
    assert (received.kind, received.subsegment, received.name) == (Kind.CONSUMER, False, "test")
    assert received.parent_id == sent.id
    assert received.trace_id == sent.trace_id


def test_pika(otel, library, rabbitmq_url):
    pika = library("pika", "pika")
    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq_url.removesuffix("/") + "%2F"))
    channel = connection.channel()
    channel.queue_declare("orders")
    with fluoro.span("checkout"):
        channel.basic_publish("", "orders", b"7", pika.BasicProperties())

    def work(channel, method, _properties, _body):
        with fluoro.span("work"):
            channel.basic_ack(method.delivery_tag)
        channel.stop_consuming()

    channel.basic_consume("orders", work)
    channel.start_consuming()
    connection.close()
    by_name = {segment.name if segment.subsegment else segment.operation: segment for segment in otel.take(4)}
    sent = by_name["orders"]
    assert sent.parent_id == by_name["checkout"].id
    received = by_name["work"].parent_id
    [consumer] = [segment for segment in by_name.values() if segment.id == received]
    one_trace(sent, consumer, "orders")
    assert sent.annotations["messaging.system"] == "rabbitmq"


def test_aio_pika(otel, library, rabbitmq_url):
    aio_pika = library("aio_pika", "aio-pika")

    async def main() -> None:
        connection = await aio_pika.connect(rabbitmq_url)
        async with connection:
            channel = await connection.channel()
            queue = await channel.declare_queue("parcels")
            done = asyncio.Event()

            async def work(message) -> None:
                async with message.process():
                    with fluoro.span("work"):
                        done.set()

            tag = await queue.consume(work)
            with fluoro.span("checkout"):
                await channel.default_exchange.publish(aio_pika.Message(b"7"), routing_key="parcels")
            await done.wait()
            await queue.cancel(tag)

    asyncio.run(main())
    segments = otel.take(4)
    sent = next(segment for segment in segments if segment.kind is Kind.PRODUCER)
    received = next(segment for segment in segments if segment.kind is Kind.CONSUMER)
    assert received.parent_id == sent.id
    assert next(segment for segment in segments if segment.name == "work").parent_id == received.id
    assert "parcels" in sent.name


def test_kafka_python(otel, library):
    kafka = library("kafka", "kafka")
    producer = kafka.KafkaProducer(bootstrap_servers="127.0.0.1:1", api_version=(2, 6), max_block_ms=1)
    with fluoro.span("checkout"), pytest.raises(kafka.errors.KafkaTimeoutError):
        producer.send("orders", b"7")
    producer.close(timeout=1)
    sent, checkout = otel.take(2)
    # The package says where the message went after it was sent, and this one was not.
    assert (sent.kind, sent.name, sent.parent_id) == (Kind.PRODUCER, "orders send", checkout.id)


def test_confluent_kafka(otel, library):
    confluent_kafka = library("confluent_kafka", "confluent_kafka")
    producer = confluent_kafka.Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0, "message.timeout.ms": 1})
    with fluoro.span("checkout"):
        producer.produce("orders", b"7")
    producer.flush(1)
    sent, checkout = otel.take(2)
    assert (sent.kind, sent.name, sent.parent_id) == (Kind.PRODUCER, "orders", checkout.id)


def test_aiokafka(otel, library, monkeypatch):
    aiokafka = library("aiokafka", "aiokafka")
    queued = []

    async def nothing(*_arguments: object, **_more: object) -> None:
        """No broker tells about the topic."""

    async def keep(*arguments: object, headers: list, **_more: object) -> None:
        queued.append((arguments[0], dict(headers)))

    async def main() -> None:
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers="127.0.0.1:1")
        monkeypatch.setattr(producer.client, "_wait_on_metadata", nothing)
        monkeypatch.setattr(producer, "_partition", lambda *_: 0)
        monkeypatch.setattr(producer._message_accumulator, "add_message", keep)
        with fluoro.span("checkout"):
            await producer.send("orders", b"7")
        await producer.stop()

    asyncio.run(main())
    sent, checkout = otel.take(2)
    assert (sent.kind, sent.name, sent.parent_id) == (Kind.PRODUCER, "orders", checkout.id)
    [(partition, headers)] = queued
    assert partition.topic == "orders"
    assert f"Parent={sent.id:016x}".encode() in headers["X-Amzn-Trace-Id"]


def test_remoulade(otel, library):
    remoulade = library("remoulade", "remoulade")
    from remoulade.brokers.stub import StubBroker
    from remoulade.worker import Worker

    broker = StubBroker()
    remoulade.set_broker(broker)

    @remoulade.actor
    def ship(_order: int) -> None:
        with fluoro.span("work"):
            pass

    broker.declare_actor(ship)
    worker = Worker(broker, worker_timeout=100)
    worker.start()
    try:
        with fluoro.span("checkout"):
            ship.send(7)
        broker.join(ship.queue_name)
        worker.join()
        by_kind = {segment.kind if segment.name != "work" else "work": segment for segment in otel.take(4)}
    finally:
        worker.stop()
    sent, received = by_kind[Kind.PRODUCER], by_kind[Kind.CONSUMER]
    assert (received.parent_id, received.subsegment) == (sent.id, False)
    assert by_kind["work"].parent_id == received.id
