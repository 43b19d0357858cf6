"""The entry point of `stresnet`, and of `python -m stresnet`.

Worker processes load it again, so what it needs is imported when it is run.
"""


def main() -> None:
    """Run the command line."""
    from stresnet.cli import main

    main()


if __name__ == "__main__":
    main()
