"""Insights: services whose faults left what is usual for them, and what they did to others."""
