"""Marigold Engage Delivery Cloud."""
