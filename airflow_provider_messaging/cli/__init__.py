"""``airflow-messaging``: what whoever runs the system needs beside DAGs. One module for each command."""
