"""The keys of a lab's page, and their help text."""

from __future__ import annotations

from textual.binding import Binding, BindingType

HELP = """\
Left: the steps. Right: what the step is about, and the commands to type in another terminal on this machine. This \
screen notices when the step is done; 'k' checks at once and says what is missing.

'h' gives a hint; each further hint says more. 'd' does the step for you. 'j' does the steps before it. 'z' restarts the lab from the beginning. 'c' \
copies the commands. 'o' writes a report at any time, to keep or to hand in: what was done, when, with how many hints, \
and your own answers ('w', at the end).

In a class, '!' tells the instructor that you need help, 'y' that you are ready to go on; 'v' hides your progress from the class board, or shows it again."""

BINDINGS: list[BindingType] = [
    Binding("k", "check", "Check"),
    Binding("b", "begin", "Break it", tooltip="Put the fault of this step in place"),
    Binding("h", "hint", "Hint"),
    Binding("d", "solve", "Do it for me"),
    Binding("c", "copy", "Copy", tooltip="Copy the commands of this step"),
    Binding("n", "next", "Next"),
    Binding("w", "respond", "Your answers", tooltip="Answer the questions at the end, for your report"),
    Binding("a", "answers", "Answers", tooltip="Show the answers to the questions at the end"),
    Binding("o", "report", "Report", tooltip="Write a report to hand in, and show its path"),
    Binding("j", "jump", "Jump here", show=False, tooltip="Let Firescreen do the steps before this one"),
    Binding("z", "reset", "Restart", show=False, tooltip="Restart the lab from the beginning"),
    Binding("pagedown,space", "scroll_text(1)", "More", key_display="pgdn", priority=True),
    Binding("pageup", "scroll_text(-1)", "Scroll up", show=False, priority=True),
]
