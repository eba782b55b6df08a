"""The table of rooms in docs/architecture.md, read by a machine."""
import re


class RoomTable:
    """Rooms, what each may include, and which room a file stands in.

    A row's first column names the room, `folder/`. The rooms in backticks in its third column, outside of
    parentheses, may be included, with everything that those may; `all of` a room means its subfolders too.
    """

    def __init__(self, architecture):
        rows = re.findall(r'^\| `([^`]+)/` \|(.*)\|([^|]*)\|$', architecture, re.MULTILINE)
        if not rows:
            raise ValueError('the table of rooms was not found')
        self.rooms = [room for room, _, _ in rows]
        self._direct = {room: self._named(may) for room, _, may in rows}
        # Whoever may include everything is nobody's library.
        self.unbound = {room for room, _, may in rows if may.strip() in ('everything', 'the programs', '-')}

    def _named(self, may):
        may = re.sub(r'\([^)]*\)', '', may.split(';')[0])
        named = set()
        for all_of, room in re.findall(r'(all of )?`([^`]+)`', may):
            if room not in self.rooms:
                raise ValueError(f'the table lets `{room}` be included, which is not one of its rooms')
            named |= {room}
            if all_of:
                named |= {other for other in self.rooms if other.startswith(room + '/')}
        return named

    def may_include(self, room):
        """The rooms that a file of `room` may include: the row's, and what those may in turn."""
        reached, left = {room}, [room]
        while left:
            for other in self._direct[left.pop()] - reached:
                reached.add(other)
                left.append(other)
        return reached

    def room_of(self, path):
        """The innermost room that holds the file, None if there is none."""
        holding = [room for room in self.rooms if path.startswith(room + '/')]
        return max(holding, key=len, default=None)
