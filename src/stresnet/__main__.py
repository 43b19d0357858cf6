"""The entry point of `stresnet`, and of `python -m stresnet`.

Worker processes load it again, so what it needs is imported when it is run.
"""

import signal


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of Ctrl-C while this is imported
    from stresnet.cli import main

    main()


if __name__ == "__main__":
    main()
