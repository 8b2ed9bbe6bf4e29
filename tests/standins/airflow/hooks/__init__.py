"""In place of Airflow in the recipes of docs/credentials.md."""
