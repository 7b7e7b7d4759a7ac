"""Print a page of all commands of `hftkit`: what `--help` says of each. Run by docs/site/hooks.py with the project's own Python."""

from __future__ import annotations

from collections.abc import Iterator

import click

from hftkit.cli.application import app


def pages(command: click.Command, path: str, depth: int, above: click.Context | None) -> Iterator[str]:
    """The help of a command and of those below it, as Markdown."""
    context = click.Context(command, info_name=path.rsplit(" ", 1)[-1], parent=above, terminal_width=96, max_content_width=96)
    yield f"{'#' * depth} {path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from pages(below, f"{path} {name}", min(depth + 1, 4) if above else 2, context)


if __name__ == "__main__":
    print("# Commands\n\nWhat `--help` says of each, written while this site was built.\n")
    print("\n".join(pages(app, "hftkit", 2, None)))
