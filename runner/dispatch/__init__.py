"""From the journal to the observers: cursors, batches, retries; nothing here can harm a run."""
