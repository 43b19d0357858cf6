"""The command line: it calls the Python functions of the same names, one file for each verb or
the few that belong together.

Exit codes: 0 all done; 1 some items failed, and each is named; 2 usage; 3 environment; 70 an
unforeseen error; 130 interrupted; 143 terminated.
"""

from stresnet.cli.annotations import annotations
from stresnet.cli.app import app, main, register, register_group
from stresnet.cli.demo import demo
from stresnet.cli.doctor import doctor
from stresnet.cli.evaluate import evaluate, fuse
from stresnet.cli.explain import explain, export
from stresnet.cli.idt import IDT_VERBS
from stresnet.cli.predict import predict
from stresnet.cli.prepare import check, flow, import_, pack, prepare
from stresnet.cli.reproduce import reproduce
from stresnet.cli.serve import serve
from stresnet.cli.train import train

__all__ = ["app", "main"]

register(
    prepare,
    import_,
    annotations,
    check,
    pack,
    flow,
    train,
    evaluate,
    reproduce,
    fuse,
    predict,
    explain,
    demo,
    export,
    serve,
    doctor,
)
register_group("idt", "Improved dense trajectories (IDT), the last row of Table 4.", *IDT_VERBS)
