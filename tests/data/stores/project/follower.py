"""An observer that takes everything, and one that is always away."""


class Taker:
    """Takes what comes."""

    def handle(self, event):
        """Forget it."""

    def close(self):
        """Do nothing."""


class Away(Taker):
    """Cannot be reached."""

    def handle(self, event):
        """Say so."""
        raise ConnectionError("the other side is away")
