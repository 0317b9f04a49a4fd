"""Keep versions of the model in MLflow: what was registered, what it is called, and who served when."""
