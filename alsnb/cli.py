"""The command ``alsnb``: a thin door onto the package, without logic of its own."""

from __future__ import annotations

import argparse
import functools
import http.server
import sys
from collections.abc import Sequence
from pathlib import Path

from alsnb import __version__, launch, parameter_pages, parameters
from alsnb.errors import AlsnbError
from alsnb.parameters import Parameters
from alsnb.project import project_root

#: Parameters that are paths; made absolute before they leave the command line.
PATHS = ("bids_root", "mask_root", "store")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; default: the process's own.

    Returns
    -------
    int
        0 when it worked, 1 when the input was at fault, 2 for wrong usage.
    """
    arguments = _parser().parse_args(argv)
    try:
        return arguments.command(arguments)
    except AlsnbError as error:
        print(f"alsnb: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        said = f"{where}{error.strerror or error}"
        print(f"alsnb: {said}; look at the disk and at the rights to it", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("alsnb: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="alsnb", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command, summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, description=summary)
        sub.set_defaults(command=command)
        return sub

    def add_parameters(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--profile", default="demo", help="demo, paper, bids or a .yaml file")
        sub.add_argument(
            "--set",
            dest="settings",
            nargs="+",
            action="extend",
            default=[],
            metavar="key=value",
            help="parameters; see book/parameters.md",
        )
        sub.add_argument("--name", help="name of the run folder in runs/, or a path")

    run = add("run", _run, "compute a study and execute its notebooks")
    add_parameters(run)
    run.add_argument("--chapters", nargs="+", default=[], help="names or numbers; default: all")
    run.add_argument("--force", action="store_true", help="execute every notebook again")
    check = add("check", _check, "list every problem of a cohort before any long work")
    add_parameters(check)
    check.add_argument("--headers-only", action="store_true", help="do not read the voxels")
    status = add("status", _status, "say how far a run is, and what is out of date and why")
    add_parameters(status)
    status.set_defaults(profile="")
    simulate = add("simulate", _simulate, "write a simulated BIDS cohort with known truth")
    simulate.add_argument("folder", type=Path)
    add_parameters(simulate)
    book = add("book", _book, "render an executed run as a book")
    book.add_argument("--run", default="demo", help="name in runs/, or a path")
    book.add_argument(
        "--repository", default="", metavar="URL",
        help="where this project is kept, https://HOST/OWNER/NAME: buttons to open chapters there",
    )  # fmt: skip
    book.add_argument("--branch", default="main", help="of the repository")
    book.add_argument("--binder", default=launch.BINDER, metavar="URL", help="'' for none")
    book.add_argument("--hub", default="", metavar="URL", help="a JupyterHub with nbgitpuller")
    gate = add("publish-check", _publish_check, "look for people in a rendered book")
    gate.add_argument("--run", default="demo", help="name in runs/, or a path")
    serve = add("serve", _serve, "serve a rendered book on this machine")
    serve.add_argument("--run", default="demo", help="name in runs/, or a path")
    serve.add_argument("--port", type=int, default=8000)
    pretrain = add("pretrain", _pretrain, "train the 3D-CNN on simulated atrophy")
    pretrain.add_argument("output", type=Path, help="a .safetensors file; its log goes beside it")
    pretrain.add_argument("--seed", type=int, default=None)
    pretrain.add_argument("--jobs", type=int, default=-1)
    reference = add("parameters", _parameters, "print the parameter reference")
    reference.add_argument(
        "--write", action="store_true", help="write book/parameters.md and params/demo.yaml"
    )
    return parser


def _read(arguments: argparse.Namespace) -> Parameters:
    if arguments.profile:
        values = parameters.load_profile(arguments.profile, project_root() / "params")
        values.setdefault("profile", Path(arguments.profile).stem)
    else:  # the run's own
        values = parameters.remembered(str(_run_dir(arguments.name or "demo")))
    values |= parameters.parse_assignments(arguments.settings)
    for name in PATHS:
        if values.get(name) and "://" not in str(values[name]):
            values[name] = str(Path(values[name]).expanduser().resolve())
    for name in ("weights", "scheduler"):  # a name or an address, or else a file
        if Path(str(values.get(name, ""))).is_file():
            values[name] = str(Path(values[name]).resolve())
    name = arguments.name or values.get("run_dir") or values.get("profile", "demo")
    values["run_dir"] = str(_run_dir(name))
    return parameters.validate(values, f"profile {arguments.profile}" if arguments.profile else "")


def _run_dir(name: str) -> Path:
    path = Path(name).expanduser()
    return path.resolve() if len(path.parts) > 1 else project_root() / "runs" / name


def _run(arguments: argparse.Namespace) -> int:
    from alsnb import run

    folder = run.run(_read(arguments), asked=arguments.chapters, force=arguments.force)
    print(folder)
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from alsnb.preflight import report
    from alsnb.study import Study

    params = _read(arguments)
    if params.simulated:
        print("the cohort is simulated; there is nothing to check (give bids_root)")
        return 0
    lines = report(Study(params), voxels=not arguments.headers_only)
    print("\n".join(lines))
    return int(any(line.startswith("error") for line in lines))


def _status(arguments: argparse.Namespace) -> int:
    from alsnb import status

    print("\n".join(status.report(_read(arguments))))
    return 0


def _simulate(arguments: argparse.Namespace) -> int:
    from alsnb.study import simulate

    print(simulate(_read(arguments), arguments.folder))
    return 0


def _book(arguments: argparse.Namespace) -> int:
    from alsnb.book import build_book

    buttons = launch.settings(
        arguments.repository,
        branch=arguments.branch,
        binder=arguments.binder,
        hub=arguments.hub,
    )
    print(f"The book is at {build_book(_run_dir(arguments.run), buttons)}")
    return 0


def _publish_check(arguments: argparse.Namespace) -> int:
    from alsnb import privacy

    folder = _run_dir(arguments.run)
    if found := privacy.publish_check(folder):
        raise privacy.PrivacyError(found)
    print(f"{folder / 'html'}: nothing of a person found; read it yourself before you publish it")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    folder = _run_dir(arguments.run) / "html"
    if not (folder / "index.html").is_file():
        raise AlsnbError(f"no book in {folder}; execute `alsnb book --run {arguments.run}`")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", arguments.port), handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/ (stop with Ctrl-C)", flush=True)
        server.serve_forever()
    return 0


def _pretrain(arguments: argparse.Namespace) -> int:
    from alsnb import pretraining

    options = {} if arguments.seed is None else {"seed": arguments.seed}
    print(pretraining.pretrain(arguments.output, n_jobs=arguments.jobs, **options))
    return 0


def _parameters(arguments: argparse.Namespace) -> int:
    text = parameter_pages.reference()
    if arguments.write:
        root = project_root()
        (root / "book" / "parameters.md").write_text(text, encoding="utf-8")
        (root / "params" / "demo.yaml").write_text(parameter_pages.demo_profile(), encoding="utf-8")
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
