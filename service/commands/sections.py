"""A group of commands whose help lists them by what they are for."""

import click


class Sections(click.Group):
    """Commands under headings, in the order in which they were added; those without one come last."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # what click's own takes
        self._sections: dict[str, list[str]] = {}

    def add_section(self, title: str, *commands: click.Command) -> None:
        """Add commands under a heading."""
        for command in commands:
            self.add_command(command)
            self._sections.setdefault(title, []).append(str(command.name))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order in which help shows them, and a shell offers them."""
        listed = [name for names in self._sections.values() for name in names]
        return [*listed, *(name for name in super().list_commands(ctx) if name not in listed)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each section with one line per command."""
        listed = {name for names in self._sections.values() for name in names}
        rest = [name for name in self.list_commands(ctx) if name not in listed]
        width = max(map(len, self.commands))
        for title, names in [*self._sections.items(), *([("Other", rest)] if rest else [])]:
            with formatter.section(title):
                rows = [(name.ljust(width), self.commands[name].get_short_help_str(formatter.width - width - 6)) for name in names]
                formatter.write_dl(rows)
