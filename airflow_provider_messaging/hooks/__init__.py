"""Airflow hooks: connections and single calls."""
