"""One name per AWS service, whatever a tracer calls it.

botocore's endpoint prefix ("states", "email", "runtime.sagemaker"), its service id ("SFN", "Secrets Manager"), the
Java and .NET client classes ("AmazonDynamoDBv2", "SimpleSystemsManagement") and OpenTelemetry's `rpc.service` name the
same service differently, which would draw it as several nodes. Pure data; shared by the SDK and the collector.
"""

from __future__ import annotations

from functools import lru_cache

# Display name → other spellings, in the form `_key` reduces a name to: lower case, letters and digits only, without a
# leading "amazon"/"aws" and a trailing "client". A display name's own key needs no entry.
_SPELLINGS: dict[str, str] = {
    "ACM": "certificatemanager",
    "APIGateway": "apigatewayv2 executeapi apigatewaymanagementapi",
    "AppConfig": "appconfigdata",
    "ApplicationAutoScaling": "",
    "AppRunner": "",
    "AppSync": "",
    "Athena": "",
    "AutoScaling": "",
    "Batch": "",
    "Bedrock": "",
    "BedrockAgent": "",
    "BedrockAgentRuntime": "",
    "BedrockRuntime": "",
    "CloudFormation": "",
    "CloudFront": "",
    "CloudTrail": "",
    "CloudWatch": "monitoring",
    "CloudWatchLogs": "logs",
    "CodeBuild": "",
    "CodeCommit": "",
    "CodeDeploy": "",
    "CodePipeline": "",
    "CognitoIdentity": "",
    "CognitoIdentityProvider": "cognitoidp",
    "Comprehend": "",
    "Config": "configservice",
    "Connect": "",
    "CostExplorer": "ce",
    "DAX": "",
    "DocumentDB": "docdb",
    "DynamoDB": "dynamodbv2",
    "DynamoDBStreams": "streamsdynamodb dynamodbv2streams",
    "EC2": "",
    "ECR": "apiecr elasticcontainerregistry",
    "ECS": "elasticcontainerservice",
    "EFS": "elasticfilesystem",
    "EKS": "elastickubernetesservice",
    "ElastiCache": "",
    "ElasticBeanstalk": "",
    "ElasticLoadBalancing": "elb elasticloadbalancingv2 elbv2",
    "Elasticsearch": "es elasticsearchservice",
    "EMR": "elasticmapreduce",
    "Events": "eventbridge cloudwatchevents",
    "Firehose": "kinesisfirehose",
    "FSx": "",
    "Glacier": "",
    "Glue": "",
    "GuardDuty": "",
    "Health": "",
    "IAM": "identitymanagement",
    "IoT": "",
    "IoTData": "dataatsiot dataiot iotdataplane iotdata",
    "Kafka": "msk",
    "Kinesis": "kinesisdatastreams",
    "KMS": "keymanagementservice",
    "Lambda": "",
    "Lex": "runtimelex lexruntimeservice runtimev2lex lexruntimev2 lexruntime",
    "Location": "geo",
    "MQ": "",
    "Neptune": "",
    "OpenSearch": "opensearchservice",
    "Organizations": "",
    "Personalize": "",
    "Pinpoint": "",
    "Pipes": "eventbridgepipes",
    "Polly": "",
    "RDS": "relationaldatabaseservice",
    "RDSData": "rdsdataservice",
    "Redshift": "",
    "RedshiftData": "redshiftdataapiservice",
    "Rekognition": "",
    "Route53": "",
    "S3": "s3v2 simplestorageservice",
    "S3Control": "",
    "SageMaker": "apisagemaker",
    "SageMakerRuntime": "runtimesagemaker",
    "Scheduler": "eventbridgescheduler",
    "SecretsManager": "",
    "ServiceDiscovery": "cloudmap",
    "SES": "email simpleemail simpleemailservice sesv2 simpleemailv2 simpleemailservicev2",
    "Shield": "",
    "SimpleDB": "sdb",
    "SNS": "simplenotificationservice",
    "SQS": "simplequeueservice",
    "SSM": "simplesystemsmanagement",
    "StepFunctions": "states sfn",
    "STS": "securitytoken securitytokenservice",
    "Support": "",
    "SWF": "simpleworkflow simpleworkflowservice",
    "Textract": "",
    "TimestreamQuery": "querytimestream",
    "TimestreamWrite": "ingesttimestream",
    "Transcribe": "transcribeservice",
    "Transfer": "",
    "Translate": "",
    "WAF": "",
    "WAFV2": "",
    "WorkSpaces": "",
    "XRay": "",
}


def _key(name: str) -> str:
    key = "".join(character for character in name.lower() if character.isalnum())
    for prefix in ("amazon", "awssdk", "aws"):
        if key.startswith(prefix) and len(key) > len(prefix):
            key = key[len(prefix) :]
    return key[:-6] if key.endswith("client") and len(key) > 6 else key


_DISPLAY = {key: name for name, keys in _SPELLINGS.items() for key in (_key(name), *keys.split())}


@lru_cache(maxsize=1024)
def display_name(service: str) -> str:
    """The name shown for an AWS service: "states", "SFN" and "AWSStepFunctions" are all "StepFunctions".

    A service the table does not know keeps its own letters, digits and dots, without a leading "Amazon" or "AWS".
    """
    known = _DISPLAY.get(_key(service))
    if known:
        return known
    own = service.strip()
    for prefix in ("Amazon", "AWS.SDK.", "AWS::", "AWS"):
        if own.startswith(prefix) and len(own) > len(prefix):
            own = own[len(prefix) :]
            break
    return "".join(character for character in own if character.isalnum() or character in "._-") or service


def node_type(service: str) -> str:
    """X-Ray's type of the node that stands for the whole service: "AWS::S3"."""
    return f"AWS::{display_name(service)}"
