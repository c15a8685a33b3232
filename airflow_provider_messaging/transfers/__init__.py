"""Airflow operators that move data: feedback to object storage, and on to SQL."""
