"""The app as pages see it: the base app with its controllers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screens.base_app import BaseApp

if TYPE_CHECKING:
    from screens.controllers.host_list import HostList
    from screens.controllers.run_controller import RunController
    from screens.controllers.stack_session import StackSession
    from screens.controllers.workspace_watch import WorkspaceWatch


class Wizard(BaseApp):
    """The part of the wizard's app that pages use."""

    @property
    def stack_session(self) -> StackSession:
        """The current stack: opens another one and scans it."""
        raise NotImplementedError

    @property
    def runs(self) -> RunController:
        """Starts and stops runs."""
        raise NotImplementedError

    @property
    def host_list(self) -> HostList:
        """The hosts to choose from."""
        raise NotImplementedError

    @property
    def workspace_watch(self) -> WorkspaceWatch:
        """Keeps the notices up to date."""
        raise NotImplementedError

    def prepare_run(self) -> None:
        """Imports the pages that open while the engine works, because they must not wait; call it in a thread."""
        raise NotImplementedError

    def use_theme(self, name: str) -> None:
        """Switches to another theme and remembers it for the next start."""
        raise NotImplementedError

    def stop_and_leave(self) -> None:
        """Stops the run that is under way and closes the wizard when the engine has finished."""
        raise NotImplementedError
