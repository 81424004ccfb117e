"""The verbs of the ``lmexp`` command, one file each."""
