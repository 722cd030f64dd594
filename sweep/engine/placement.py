"""Which panel each training stands in, and which actor has the panel: no Ray, no arithmetic."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweep_model.panels import pass_cost

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from sweep_model.panels import LaneState
    from sweep_model.training import PanelKind, Training


@dataclass(eq=False)
class Actor:
    """A process that trains; `about` will say on which machine it is."""

    handle: Any
    about: Any
    machine: str = ""


@dataclass(eq=False)
class Panel:
    """Trainings of one kind that share products, all with one actor."""

    kind: PanelKind
    members: list[Member] = field(default_factory=list)
    actor: Actor | None = None

    @property
    def cost(self) -> float:
        """About how long a pass takes, relative to others."""
        return pass_cost(self.kind.batch_size)


@dataclass(eq=False)
class Member:
    """A training: the panel that it belongs to, and the actor that has it; before that its state.

    A training that has no state either begins.
    """

    key: Hashable
    number: int
    training: Training
    panel: Panel
    state: LaneState | None = None
    actor: Actor | None = None


class Placement:
    """Trainings in as few panels as hold them, and the panels shared evenly among actors.

    Attributes
    ----------
    members : by key.
    panels : those that have a member, after `compact`.
    """

    def __init__(self, lanes: int) -> None:
        self.lanes, self._count = lanes, 0
        self.clear()

    def clear(self) -> None:
        """Forget all trainings."""
        self.members: dict[Hashable, Member] = {}
        self.panels: list[Panel] = []

    def add(self, key: Hashable, training: Training, state: LaneState | None = None) -> None:
        """Give a training a place in a panel; a ValueError where the key is taken."""
        if key in self.members:
            raise ValueError(f"{key=} is training already")
        for panel in self.panels:
            if panel.kind == training.panel_kind and len(panel.members) < self.lanes:
                break
        else:
            panel = Panel(training.panel_kind)
            self.panels.append(panel)
        self._count += 1
        self.members[key] = member = Member(key, self._count, training, panel, state)
        panel.members.append(member)

    def remove(self, key: Hashable) -> Member:
        """Take a training out and return it."""
        member = self.members.pop(key)
        member.panel.members.remove(member)
        return member

    def compact(self, *, may_move: bool) -> None:
        """Forget empty panels, and move trainings together where others become empty by it."""
        groups: defaultdict[PanelKind, list[Panel]] = defaultdict(list)
        for panel in sorted(self.panels, key=lambda panel: -len(panel.members)):
            if panel.members:
                groups[panel.kind].append(panel)
        for group in groups.values():
            while may_move and sum(self.lanes - len(one.members) for one in group) >= self.lanes:
                for member in group.pop().members:
                    goal = next(one for one in group if len(one.members) < self.lanes)
                    member.panel = goal
                    goal.members.append(member)
        self.panels = [panel for group in groups.values() for panel in group]

    def deal(self, actors: Sequence[Actor], *, may_move: bool) -> None:
        """Share the panels among the actors about evenly, and move few for it."""
        loads = dict.fromkeys(actors, 0.0)
        for panel in sorted(self.panels, key=lambda panel: (panel.actor is None, -panel.cost)):
            if panel.actor is None:
                panel.actor = min(loads, key=lambda actor: loads[actor])
            loads[panel.actor] += panel.cost
        while may_move and loads:
            busiest, idlest = (pick(loads, key=lambda a: loads[a]) for pick in (max, min))
            gap = loads[busiest] - loads[idlest]
            theirs = [panel for panel in self.panels if panel.actor is busiest]
            best = min(theirs, key=lambda panel: abs(panel.cost - gap / 2), default=None)
            if best is None or best.cost > gap - 1e-9:  # it would only change sides
                return
            best.actor = idlest
            loads[busiest] -= best.cost
            loads[idlest] += best.cost

    def moves(self) -> Iterator[tuple[Actor | None, Actor, list[Member]]]:
        """Yield, from which actor to which, the trainings that are not with that of their panel.

        They are there from then on. Those that come from no actor all begin, or all have a state.
        """
        groups: defaultdict[tuple[Actor | None, Actor, bool], list[Member]] = defaultdict(list)
        for member in self.members.values():
            goal = member.panel.actor
            if goal is not None and member.actor is not goal:
                groups[member.actor, goal, member.state is None].append(member)
        for (actor, goal, _), members in groups.items():
            yield actor, goal, members
            for member in members:
                member.actor, member.state = goal, None
