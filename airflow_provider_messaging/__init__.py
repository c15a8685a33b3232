"""Apache Airflow provider for sending, suppressing, collecting and archiving messages."""

__version__ = "0.1.0"
