"""An EC2 instance: the machine's firmware says so, then its metadata service (version 2) tells which one.

The service is asked only where the firmware names Amazon, so elsewhere no process ever waits for 169.254.169.254.
"""

from __future__ import annotations

from fluoro.detection.surroundings import Place, Surroundings, mapping, short

_LIFE_S = "60"  # of the token that the service wants to see


def detect(around: Surroundings, named: bool) -> Place | None:
    tag = around.text("/sys/devices/virtual/dmi/id/board_asset_tag").strip()
    vendor = around.text("/sys/devices/virtual/dmi/id/sys_vendor")
    if not (
        named
        or tag.startswith("i-")
        or "Amazon EC2" in vendor
        or around.text("/sys/hypervisor/uuid").lower().startswith("ec2")
    ):
        return None
    document = {} if around.variable("AWS_EC2_METADATA_DISABLED").lower() == "true" else _identity(around)
    instance = short(document.get("instanceId")) or (tag if tag.startswith("i-") else "")
    if named and not instance:
        return None
    return Place(
        "AWS::EC2::Instance",
        {
            "cloud.platform": "aws_ec2",
            "cloud.region": short(document.get("region")),
            "cloud.account.id": short(document.get("accountId")),
            "cloud.availability_zone": short(document.get("availabilityZone")),
            "host.id": instance,
            "host.type": short(document.get("instanceType")),
            "host.image.id": short(document.get("imageId")),
        },
    )


def _identity(around: Surroundings) -> dict[str, object]:
    base = around.instance_metadata
    token = around.ask(f"{base}/latest/api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": _LIFE_S})
    if not token or not token.isascii() or not token.isprintable():
        return {}
    return mapping(
        around.ask(f"{base}/latest/dynamic/instance-identity/document", headers={"X-aws-ec2-metadata-token": token})
    )
