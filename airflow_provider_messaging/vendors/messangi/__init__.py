"""Messangi Digital Engagement."""
