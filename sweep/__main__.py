"""`sweep`, and `python -m sweep`."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C during its imports ends it as later, without a traceback."""
    try:
        from sweep.cli import main as command
    except KeyboardInterrupt:
        sys.stderr.write("sweep: interrupted\n")
        sys.exit(130)
    command(prog_name="sweep")


if __name__ == "__main__":
    main()
