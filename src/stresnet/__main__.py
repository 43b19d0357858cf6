"""`python -m stresnet` is `stresnet`."""

from stresnet.cli import main

main()
