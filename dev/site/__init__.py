"""What builds the documentation: runs in an environment of its own, which has no Airflow."""
