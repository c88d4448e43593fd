"""What is done beside the serving: with files, and with nobody waiting for an answer."""
