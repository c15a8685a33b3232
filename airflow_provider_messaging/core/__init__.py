"""HTTP calls as values: requests, replies, flows, batches. Knows no vendor, no Airflow and no HTTP library."""
