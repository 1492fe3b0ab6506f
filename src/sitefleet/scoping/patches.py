"""What is put in the place of methods of Django, where there is no hook; and taken out again."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Patches:
    """Attributes of classes that were replaced, in their order."""

    def __init__(self) -> None:
        #: What was there before; None where the class had inherited it, or has it from us.
        self._originals: list[tuple[type, str, Any]] = []
        self._lock = Lock()

    def __bool__(self) -> bool:
        return bool(self._originals)

    def put(self, owner: type, name: str, value: Any) -> None:
        """Put a value in the place of an attribute."""
        self._originals.append((owner, name, owner.__dict__.get(name)))
        setattr(owner, name, value)

    def change(self, owner: type, name: str, change: Callable[[Any], Any]) -> None:
        """Put what is made of an attribute in its place. Raises AttributeError without one."""
        self.put(owner, name, change(getattr(owner, name)))

    def change_once(self, owner: type, name: str, change: Callable[[Any], Any]) -> None:
        """Do so unless it has been done, by whichever thread."""
        with self._lock:
            if (owner, name) not in [entry[:2] for entry in self._originals]:
                self.change(owner, name, change)

    def undo(self) -> None:
        """Put back what was there; for tests."""
        while self._originals:
            owner, name, original = self._originals.pop()
            if original is None:
                delattr(owner, name)
            else:
                setattr(owner, name, original)
