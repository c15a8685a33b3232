"""Airflow triggers. They only read."""
