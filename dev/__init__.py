"""Tools of this checkout: a local Airflow, the demo, sample data, checks. Not part of the distribution."""
