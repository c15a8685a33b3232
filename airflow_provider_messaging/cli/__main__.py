"""``python -m airflow_provider_messaging.cli``."""

import sys

from airflow_provider_messaging.cli.main import main

sys.exit(main())
