"""What the README claims about speed, measured again by one command: ``python -m benchmarks``."""
