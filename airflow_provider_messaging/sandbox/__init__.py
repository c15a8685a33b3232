"""A strict local server that plays the vendors, for development, tests and demonstrations.

``python -m airflow_provider_messaging.sandbox`` starts it; a test starts it by
:func:`~airflow_provider_messaging.sandbox.process.running_sandbox`.
"""
