"""The one way in which asking for an asset fails."""


class AssetError(Exception):
    """An asset cannot be given. The message says what is wrong, with the value, and what to do next."""
