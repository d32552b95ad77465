"""Traces with everything that makes a service map hard, from a seed."""

from __future__ import annotations

import random

import msgspec

from fluoro.model import Kind, Resource, Segment, Sql

SECOND = 1_000_000_000
SERVICES = ["web", "orders", "pay", "worker"]
ORIGINS = {"web": "", "orders": "AWS::ECS::Container", "pay": "", "worker": "AWS::Lambda::Function"}


def random_traces(seed: int, base_ns: int, count: int = 12, spread_s: int = 600) -> list[tuple[Resource, Segment]]:
    """Finished segments of `count` traces: nested calls, missing parents, cycles, consumers, lone subsegments."""
    rng = random.Random(seed)
    rows: list[tuple[Resource, Segment]] = []
    for number in range(count):
        rows += _Trace(rng, base_ns, spread_s, number).rows
    return rows


class _Trace:
    def __init__(self, rng: random.Random, base_ns: int, spread_s: int, number: int) -> None:
        self.rng = rng
        self.start = base_ns + rng.randrange(spread_s) * SECOND + rng.randrange(SECOND)
        self.trace_id = (self.start // SECOND).to_bytes(4, "big") + number.to_bytes(4, "big") + rng.randbytes(8)
        self.rows: list[tuple[Resource, Segment]] = []
        self.step = rng.choice([SECOND // 100, SECOND // 100, 40 * SECOND])
        self._service(0, 0)
        if rng.random() < 0.3:
            self._damage()

    def _add(self, service: str, parent: int, name: str, **fields: object) -> Segment:
        self.start += self.rng.randrange(1, self.step)
        flags = self.rng.random()
        segment = Segment(
            self.trace_id,
            self.rng.getrandbits(63) + 1,
            parent,
            name,
            self.start,
            self.start + self.rng.randrange(SECOND),
            error=flags < 0.2,
            throttle=flags < 0.1,
            fault=flags > 0.9,
            **fields,  # type: ignore[arg-type]
        )
        # A subsegment that an X-Ray SDK streams says neither its service nor its resource.
        alone = segment.subsegment and self.rng.random() < 0.2
        resource = Resource() if alone else Resource(service_name=service, environment=self.rng.choice(["", "prod"]))
        self.rows.append((resource, segment))
        return segment

    def _service(self, parent: int, depth: int) -> None:
        rng = self.rng
        service = rng.choice(SERVICES)
        if depth == 0 and rng.random() < 0.15:
            self._call(service, 0, depth)
            return
        consumer = rng.random() < 0.2
        aws = {"queue_url": "https://sqs/q"} if consumer and rng.random() < 0.6 else None
        kind = Kind.CONSUMER if consumer else Kind.SERVER
        entry = self._add(service, parent, service, kind=kind, aws=aws, origin=ORIGINS[service])
        for _ in range(rng.randrange(4)):
            above = entry.id
            for _ in range(rng.choice([0, 0, 1, 3])):
                above = self._add(service, above, "step", subsegment=True).id
            if rng.random() < 0.1 and depth < 3:
                self._service(above, depth + 1)
            else:
                self._call(service, above, depth)

    def _call(self, service: str, parent: int, depth: int) -> None:
        rng = self.rng
        choice = rng.randrange(4)
        fields: dict[str, object] = {"subsegment": True, "namespace": "remote", "kind": Kind.CLIENT}
        name = rng.choice([*SERVICES, "example.org"])
        if choice == 0:
            name, fields["sql"] = "shop@db", Sql(database_type="PostgreSQL")
        elif choice == 1:
            name, fields["namespace"], fields["aws"] = "DynamoDB", "aws", {"table_name": "orders"}
        elif choice == 2:
            name, fields["namespace"], fields["aws"] = "SQS", "aws", {"queue_url": "https://sqs/q"}
        call = self._add(service, parent, name, **fields)
        for _ in range(rng.choice([0, 1, 1, 2]) if choice >= 2 and depth < 3 else 0):
            self._service(call.id, depth + 1)

    def _damage(self) -> None:
        """Lose a row, or close a cycle."""
        place = self.rng.randrange(len(self.rows))
        if self.rng.random() < 0.7:
            del self.rows[place]
        else:
            resource, segment = self.rows[place]
            below = self.rng.choice(self.rows)[1]
            self.rows[place] = (resource, msgspec.structs.replace(segment, parent_id=below.id))


def delivered(rows: list[tuple[Resource, Segment]], rng: random.Random) -> list[list[tuple[Resource, Segment]]]:
    """The rows in random order and batches, with duplicates and unfinished versions before and after."""
    sent = []
    for resource, segment in rows:
        sent.append((resource, segment))
        if rng.random() < 0.2:
            sent.append((resource, segment))
        if rng.random() < 0.2:
            unfinished = msgspec.structs.replace(
                segment, in_progress=True, end=0, error=False, throttle=False, fault=False
            )
            sent.append((resource, unfinished))
    rng.shuffle(sent)
    batches: list[list[tuple[Resource, Segment]]] = []
    while sent:
        size = rng.choice([1, 10, 40, 80])
        batches.append(sent[:size])
        sent = sent[size:]
    return batches
