"""Where we run, told by variables, files and metadata services. The services are local HTTP servers that answer what
AWS documents; no test runs in AWS.
"""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import batch_sink
from fluoro.detection import Detection
from fluoro.detection.surroundings import Surroundings
from fluoro.model import Segment
from fluoro.sender import Sender
from fluoro.settings import Settings
from fluoro.transport import HttpTransport

DMI = "sys/devices/virtual/dmi/id/"
IDENTITY = {
    "accountId": "123456789012",
    "region": "eu-west-1",
    "availabilityZone": "eu-west-1b",
    "instanceId": "i-0abc",
    "instanceType": "m7g.large",
    "imageId": "ami-1",
    "privateIp": "10.0.0.1",
}
TASK_ARN = "arn:aws:ecs:eu-west-1:123456789012:task/shop/0123"
CONTAINER = {
    "DockerId": "c" * 64,
    "Name": "web",
    "DockerName": "ecs-shop-1-web",
    "ContainerARN": "arn:aws:ecs:eu-west-1:123456789012:container/shop/0123/9",
    "LogOptions": {"awslogs-group": "/ecs/shop"},
}
TASK = {
    "Cluster": "shop",
    "TaskARN": TASK_ARN,
    "Family": "web",
    "Revision": "7",
    "AvailabilityZone": "eu-west-1a",
    "LaunchType": "EC2",
}


class Metadata:
    """A metadata service: {path: answer}; a token is needed for EC2's paths."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.asked: list[str] = []
        self.delay = threading.Event()
        self.delay.set()
        self.url = ""


@contextmanager
def metadata_service() -> Iterator[Metadata]:
    state = Metadata()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            state.asked.append(f"{self.command} {self.path}")
            state.delay.wait(20)
            if self.path == "/latest/api/token":
                assert self.command == "PUT"
                assert self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
                text: str | None = "a-token"
            elif self.path.startswith("/latest/") and self.headers["X-aws-ec2-metadata-token"] != "a-token":
                text = None
            else:
                text = state.answers.get(self.path)
            self.send_response(401 if text is None else 200)
            self.end_headers()
            self.wfile.write((text or "").encode())

        do_GET = do_PUT = answer  # noqa: N815  names are http.server's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        state.delay.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def service() -> Iterator[Metadata]:
    with metadata_service() as running:
        yield running


@pytest.fixture
def look(tmp_path: Path):
    """Detect with these variables; `files` are put under an empty root."""

    def find(
        environ: dict[str, str] | None = None,
        files: dict[str, str] | None = None,
        imds: str = "http://127.0.0.1:9",
        **settings: Any,
    ):
        for path, text in (files or {}).items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

        def around() -> Surroundings:
            return Surroundings(environ=environ or {}, root=str(tmp_path), instance_metadata=imds)

        return Detection(Settings(service_name="shop", **settings), around).place()

    return find


def test_nowhere_in_particular(look):
    assert look({"AWS_REGION": "eu-west-1"}) == ("", {})


def test_nothing_is_asked_of_the_network_where_nothing_says_aws(look, service):
    look(imds=service.url)
    assert service.asked == []


@pytest.mark.parametrize(
    "file",
    [
        {DMI + "sys_vendor": "Amazon EC2\n"},
        {DMI + "board_asset_tag": "i-0abc\n"},
        {"sys/hypervisor/uuid": "ec2e1916-9099-7caf-fd21-012345abcdef\n"},
    ],
    ids=["nitro", "tag", "xen"],
)
def test_an_ec2_instance(look, service, file):
    service.answers["/latest/dynamic/instance-identity/document"] = json.dumps(IDENTITY)
    origin, attributes = look(files=file, imds=service.url)
    assert origin == "AWS::EC2::Instance"
    assert attributes == {
        "cloud.provider": "aws",
        "cloud.platform": "aws_ec2",
        "cloud.region": "eu-west-1",
        "cloud.account.id": "123456789012",
        "cloud.availability_zone": "eu-west-1b",
        "host.id": "i-0abc",
        "host.type": "m7g.large",
        "host.image.id": "ami-1",
    }
    assert service.asked == ["PUT /latest/api/token", "GET /latest/dynamic/instance-identity/document"]


def test_an_instance_whose_metadata_is_off_or_silent_still_has_its_id(look, service):
    files = {DMI + "board_asset_tag": "i-0abc\n"}
    origin, attributes = look({"AWS_EC2_METADATA_DISABLED": "true"}, files, service.url)
    assert (origin, attributes["host.id"], service.asked) == ("AWS::EC2::Instance", "i-0abc", [])
    service.delay.clear()
    started = time.monotonic()
    _, attributes = look({}, files, service.url)
    assert attributes["host.id"] == "i-0abc"
    assert time.monotonic() - started < 2


def test_ec2_asked_for_by_name_is_looked_for_without_a_hint(look, service):
    service.answers["/latest/dynamic/instance-identity/document"] = json.dumps(IDENTITY)
    assert look(imds=service.url, detectors=frozenset({"ec2"})).attributes["host.id"] == "i-0abc"
    assert look(detectors=frozenset({"ec2"})) == ("", {})
    assert look({"AWS_LAMBDA_FUNCTION_NAME": "f"}, imds=service.url, detectors=frozenset()) == ("", {})


@pytest.mark.parametrize("launch", ["EC2", "FARGATE"])
def test_an_ecs_task(look, service, launch):
    cluster = TASK["Cluster"] if launch == "EC2" else "arn:aws:ecs:eu-west-1:123456789012:cluster/shop"
    service.answers = {
        "/v4/x": json.dumps(CONTAINER),
        "/v4/x/task": json.dumps({**TASK, "LaunchType": launch, "Cluster": cluster}),
    }
    origin, attributes = look({"ECS_CONTAINER_METADATA_URI_V4": f"{service.url}/v4/x"})
    assert origin == {"EC2": "AWS::ECS::EC2", "FARGATE": "AWS::ECS::Fargate"}[launch]
    assert attributes == {
        "cloud.provider": "aws",
        "cloud.platform": "aws_ecs",
        "cloud.region": "eu-west-1",
        "cloud.account.id": "123456789012",
        "cloud.availability_zone": "eu-west-1a",
        "cloud.resource_id": CONTAINER["ContainerARN"],
        "container.name": "ecs-shop-1-web",
        "container.id": "c" * 64,
        "aws.ecs.container.arn": CONTAINER["ContainerARN"],
        "aws.ecs.task.arn": TASK_ARN,
        "aws.ecs.task.family": "web",
        "aws.ecs.task.revision": "7",
        "aws.ecs.cluster.arn": "arn:aws:ecs:eu-west-1:123456789012:cluster/shop",
        "aws.ecs.launchtype": launch.lower(),
        "aws.log.group.names": ["/ecs/shop"],
    }


def test_an_ecs_task_whose_metadata_is_silent_or_elsewhere(look):
    assert look({"AWS_EXECUTION_ENV": "AWS_ECS_FARGATE"}).origin == "AWS::ECS::Fargate"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    assert look({"ECS_CONTAINER_METADATA_URI_V4": address}).origin == "AWS::ECS::Container"
    place = look({"ECS_CONTAINER_METADATA_URI_V4": "http://example.com/v4"})  # never asked: not link-local
    assert place.origin == "AWS::ECS::Container"


def token(issuer: str) -> str:
    claims = {
        "iss": issuer,
        "kubernetes.io": {"namespace": "prod", "pod": {"name": "web-5", "uid": "u"}, "node": {"name": "node-1"}},
    }
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{middle}.signature"


TOKEN = "var/run/secrets/kubernetes.io/serviceaccount/token"
IN_KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


def test_a_pod_in_eks(look):
    files = {
        TOKEN: token("https://oidc.eks.eu-west-1.amazonaws.com/id/ABC"),
        "proc/self/cgroup": f"0::/kubepods/burstable/pod1/{'a' * 64}\n",
    }
    origin, attributes = look(IN_KUBERNETES, files)
    assert origin == "AWS::EKS::Container"
    assert attributes == {
        "cloud.provider": "aws",
        "cloud.platform": "aws_eks",
        "cloud.region": "eu-west-1",
        "k8s.pod.name": "web-5",
        "k8s.namespace.name": "prod",
        "k8s.node.name": "node-1",
        "container.id": "a" * 64,
    }


def test_a_pod_elsewhere_is_not_in_eks_unless_something_says_so(look):
    files = {TOKEN: token("https://kubernetes.default.svc"), "proc/self/mountinfo": ""}
    assert look(IN_KUBERNETES, files) == ("", {})
    assert look({}, files) == ("", {})
    role = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"}
    assert look({**IN_KUBERNETES, **role}, files).origin == "AWS::EKS::Container"
    assert look(IN_KUBERNETES, files, detectors=frozenset({"eks"})).origin == "AWS::EKS::Container"


@pytest.mark.parametrize("strange", ["", "a.b", "a.!.c", "a.gA.c", "a.W10.c"])
def test_a_strange_token_is_no_token(look, strange):
    assert look(IN_KUBERNETES, {TOKEN: strange}) == ("", {})


def test_elastic_beanstalk_wins_over_its_instance(look, service):
    service.answers["/latest/dynamic/instance-identity/document"] = json.dumps(IDENTITY)
    configuration = {"environment_name": "shop-prod", "version_label": "v42", "deployment_id": 32}
    files = {
        "var/elasticbeanstalk/xray/environment.conf": json.dumps(configuration),
        DMI + "sys_vendor": "Amazon EC2\n",
    }
    origin, attributes = look(files=files, imds=service.url)
    assert origin == "AWS::ElasticBeanstalk::Environment"
    assert (attributes["service.namespace"], attributes["service.version"]) == ("shop-prod", "v42")
    assert (attributes["service.instance.id"], attributes["host.id"]) == ("32", "i-0abc")
    assert attributes["cloud.platform"] == "aws_elastic_beanstalk"


def test_a_lambda_function(look):
    origin, attributes = look(
        {
            "AWS_LAMBDA_FUNCTION_NAME": "resize",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]ab",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/resize",
            "AWS_REGION": "eu-west-1",
        }
    )
    assert origin == "AWS::Lambda::Function"
    assert attributes == {
        "cloud.provider": "aws",
        "cloud.platform": "aws_lambda",
        "cloud.region": "eu-west-1",
        "faas.name": "resize",
        "faas.version": "$LATEST",
        "faas.instance": "2026/01/01/[$LATEST]ab",
        "faas.max_memory": 512 * 1024 * 1024,
        "aws.log.group.names": ["/aws/lambda/resize"],
    }


def test_a_batch_job_in_its_container(look):
    origin, attributes = look(
        {"AWS_BATCH_JOB_ID": "j-1", "AWS_BATCH_JQ_NAME": "nightly", "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE"}
    )
    assert origin == "AWS::ECS::Fargate"
    assert (attributes["aws.batch.job.id"], attributes["aws.batch.job.queue"]) == ("j-1", "nightly")
    assert "aws.batch.job.attempt" not in attributes


def test_a_build(look):
    arn = "arn:aws:codebuild:eu-west-1:123456789012:build/shop:1"
    origin, attributes = look({"CODEBUILD_BUILD_ID": "shop:1", "CODEBUILD_BUILD_ARN": arn})
    assert origin == ""
    assert attributes == {
        "cloud.provider": "aws",
        "cloud.region": "eu-west-1",
        "cloud.account.id": "123456789012",
        "cloud.resource_id": arn,
        "cicd.pipeline.name": "shop",
        "cicd.pipeline.run.id": "shop:1",
    }


def test_app_runner_only_when_it_is_named_or_stated(look):
    assert look(detectors=frozenset({"apprunner"})).origin == "AWS::AppRunner::Service"
    assert look(attributes={"cloud.platform": "aws_app_runner"}).origin == "AWS::AppRunner::Service"


def test_what_the_settings_say_wins(look):
    said = {"cloud.region": "mars", "cloud.platform": "aws.ecs"}
    origin, attributes = look({"AWS_LAMBDA_FUNCTION_NAME": "f"}, attributes=said)
    assert origin == "AWS::ECS::Container"
    assert (attributes["cloud.region"], attributes["faas.name"]) == ("mars", "f")


def test_a_strange_answer_is_no_answer(look, service):
    service.answers = {"/v4": "[1]", "/v4/task": '{"TaskARN": {"x": 1}, "Cluster": 3, "LaunchType": []}'}
    assert look({"ECS_CONTAINER_METADATA_URI_V4": f"{service.url}/v4"}).origin == "AWS::ECS::Container"


def test_it_looks_once_and_the_batch_carries_what_it_found(look, tmp_path):
    looked = []

    def around() -> Surroundings:
        looked.append(threading.get_ident())
        return Surroundings(
            environ={"AWS_LAMBDA_FUNCTION_NAME": "resize", "AWS_REGION": "eu-west-1"}, root=str(tmp_path)
        )

    with batch_sink.running_sink() as sink:
        settings = Settings(service_name="shop", endpoint=sink.url)
        out = Sender(settings, HttpTransport(sink.url), Detection(settings, around).place)
        assert looked == []
        out.put(Segment(bytes(15) + b"1", 1, 0, "shop", 1, 2))
        out.put(Segment(bytes(15) + b"1", 2, 1, "call", 1, 2, subsegment=True))
        assert out.flush()
        out.put(Segment(bytes(15) + b"1", 3, 0, "shop", 1, 2, origin="AWS::EC2::Instance"))
        assert out.flush()
        out.close()
    assert len(looked) == 1
    assert looked[0] != threading.get_ident()
    assert [segment.origin for segment in sink.segments] == ["AWS::Lambda::Function", "", "AWS::EC2::Instance"]
    assert sink.batches[0].resource.attributes["faas.name"] == "resize"
    assert sink.batches[0].resource.attributes["telemetry.sdk.name"] == "fluoro"
