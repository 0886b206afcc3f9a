"""Searching for the best configuration with Optuna. Knows nothing of Hydra; Optuna is loaded when it is needed."""
