"""What starts the pipeline by itself: Airflow's processes."""
