"""Receives the vendor's webhooks: durable at once, deduplicated, and landed as segments on object storage."""
