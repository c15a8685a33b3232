"""Sending without duplicates and without losses. Knows no vendor by name and no Airflow."""
