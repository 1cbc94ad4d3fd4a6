"""``python -m tests.chaos --seconds 600``: a long chaos run; prints its numbers as JSON, and exits with 1 when a promise was broken."""

import argparse
import json
import sys

from tests.chaos.run import chaos

parser = argparse.ArgumentParser(description="Kill everything again and again under load, then compare by request id.")
parser.add_argument("--seconds", type=float, default=600.0)
result = chaos(parser.parse_args().seconds)
sys.stdout.write(json.dumps({**result.numbers, "broken": result.faults}, indent=2) + "\n")
sys.exit(1 if result.faults else 0)
