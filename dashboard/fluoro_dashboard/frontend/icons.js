// Icons of node types, drawn for this map: stroke paths in a 24 × 24 box. Pure.

const PATHS = {
  service: "M4 5h16v5H4zM4 14h16v5H4zM7.5 7.5h.01M7.5 16.5h.01M12 7.5h5M12 16.5h5",
  client: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4.5 20c.6-4 3.6-5.5 7.5-5.5s6.9 1.5 7.5 5.5",
  database: "M5 6.5c0-3.3 14-3.3 14 0s-14 3.3-14 0v11c0 3.3 14 3.3 14 0v-11M5 12c0 3.3 14 3.3 14 0",
  sql: "M4 5h16v14H4zM4 10h16M4 14.5h16M10 10v9",
  queue: "M3 8h4v8H3zM10 8h4v8h-4zM17 8h4v8h-4zM7 12h3M14 12h3",
  topic: "M4 10v4h3l6 4V6L7 10zM16.5 9a4 4 0 0 1 0 6M19 6.5a8 8 0 0 1 0 11",
  stream: "M3 7c3-3 6 3 9 0s6 3 9 0M3 12c3-3 6 3 9 0s6 3 9 0M3 17c3-3 6 3 9 0s6 3 9 0",
  bucket: "M4.5 6.5c0-2.7 15-2.7 15 0s-15 2.7-15 0l2 12.5c.4 1.8 10.6 1.8 11 0l2-12.5",
  function: "M6 4h3l7 16h3M11.2 9.5L6 20",
  remote: "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM3.5 12h17M12 3.5c-5 5-5 12 0 17c5-5 5-12 0-17z",
  cache: "M7 7h10v10H7zM9.5 4v3M14.5 4v3M9.5 17v3M14.5 17v3M4 9.5h3M4 14.5h3M17 9.5h3M17 14.5h3",
  gateway: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM9 12h6M13 9.5l2.5 2.5-2.5 2.5",
  secret: "M8 10.5a4.5 4.5 0 1 0 0 3h5v3h3v-3h2.5v-3zM6 12h.01",
  workflow: "M4 4h6v5H4zM14 15h6v5h-6zM7 9v8.5h7",
  cloud: "M7 18a4 4 0 0 1 0-8 5.5 5.5 0 0 1 10.5-1A4.5 4.5 0 0 1 17 18z",
};

const RULES = [
  [/^client$/, "client"],
  [/^remote$/, "remote"],
  [/redis|memcache|elasticache|dax/i, "cache"],
  [/^database::sql/i, "sql"],
  [/::rds|aurora|redshift|athena/i, "sql"],
  [/dynamo|database|docdb|neptune|opensearch|elasticsearch|mongo/i, "database"],
  [/sqs|queue|rabbit|celery/i, "queue"],
  [/sns|topic|eventbridge|::events|::ses/i, "topic"],
  [/kinesis|stream|kafka|firehose|msk/i, "stream"],
  [/s3|bucket/i, "bucket"],
  [/lambda|function/i, "function"],
  [/gateway|loadbalancing|appsync|cloudfront/i, "gateway"],
  [/secret|kms|ssm|cognito|sts|iam/i, "secret"],
  [/states|stepfunctions|workflow/i, "workflow"],
  [/ecs|ec2|eks|beanstalk|apprunner|container/i, "service"],
  [/^aws::/i, "cloud"],
];

/** Name of the icon for a node type ("" is one of our own services). */
export function iconName(type) {
  if (!type) return "service";
  const rule = RULES.find(([pattern]) => pattern.test(type));
  return rule ? rule[1] : "service";
}

export const iconPath = (type) => PATHS[iconName(type)];
