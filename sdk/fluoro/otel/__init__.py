"""OpenTelemetry's API on our recorder (`provider`), without opentelemetry-sdk, and its conventions as X-Ray fields
(`semantics`, pure, which the collector's OTLP decoder uses too).
"""
