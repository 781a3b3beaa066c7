"""`python -m llmcli`."""

import sys

try:
    from llmcli.cli.main import run
except KeyboardInterrupt:  # so early that nothing was begun
    sys.exit(130)

if __name__ == "__main__":
    run()
