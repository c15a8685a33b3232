"""What the four vendors expect and answer, one package each. Knows no Airflow and no HTTP library."""
