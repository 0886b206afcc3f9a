"""Runs in MongoDB: Sacred's documents and ours beside them. `read` is the way back."""

from anew.observers.mongo.observer import MongoObserver as MongoObserver
