"""Elastic Kubernetes Service: the service account's token, which the kubelet mounts into every pod.

Its issuer tells EKS from other clusters, and its claims the pod: nothing has to be asked of the cluster's API. The
token's signature is neither checked nor used, and nothing of it but these claims goes anywhere. The cluster's name is in
none of this: set `k8s.cluster.name` in OTEL_RESOURCE_ATTRIBUTES.
"""

from __future__ import annotations

import binascii
import re
from typing import Any

from fluoro.detection.surroundings import Place, Surroundings, mapping, short

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105  the place of one
_ISSUER = re.compile(r"https://oidc[.-]eks\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)/")
_CGROUP = re.compile(r"([0-9a-f]{64})(?:\.scope)?$", re.MULTILINE)
_MOUNT = re.compile(r"/(?:containers|sandboxes)/([0-9a-f]{64})/")


def detect(around: Surroundings, named: bool) -> Place | None:
    if not around.variable("KUBERNETES_SERVICE_HOST"):
        return None
    claims = _claims(around.text(TOKEN))
    issuer = _ISSUER.match(str(claims.get("iss", "")))
    if issuer is None and not named and not _has_pod_identity(around):
        return None
    pod = claims.get("kubernetes.io")
    pod = pod if isinstance(pod, dict) else {}
    return Place(
        "AWS::EKS::Container",
        {
            "cloud.platform": "aws_eks",
            "cloud.region": issuer.group(1) if issuer else "",
            "k8s.pod.name": short(_name(pod, "pod")) or around.variable("HOSTNAME"),
            "k8s.namespace.name": short(pod.get("namespace")),
            "k8s.node.name": short(_name(pod, "node")),
            "container.id": container_id(around),
        },
    )


def container_id(around: Surroundings) -> str:
    """64 hex digits; "" where the kernel does not show it to the container."""
    found = _CGROUP.search(around.text("/proc/self/cgroup")) or _MOUNT.search(around.text("/proc/self/mountinfo"))
    return found.group(1) if found else ""


def _has_pod_identity(around: Surroundings) -> bool:
    return "eks.amazonaws.com" in around.variable("AWS_WEB_IDENTITY_TOKEN_FILE") or (
        "169.254.170.23" in around.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    )


def _claims(token: str) -> dict[str, Any]:
    parts = token.strip().split(".")
    if len(parts) != 3:
        return {}
    payload = parts[1].replace("-", "+").replace("_", "/") + "=" * (-len(parts[1]) % 4)
    try:
        return mapping(binascii.a2b_base64(payload).decode())
    except ValueError:
        return {}


def _name(claims: dict[str, Any], what: str) -> object:
    entry = claims.get(what)
    return entry.get("name") if isinstance(entry, dict) else None
