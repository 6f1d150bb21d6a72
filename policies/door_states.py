"""What many doors say about themselves, in as many questions as for one (`Door.state`)."""

from collections.abc import Sequence

from policies.models import Door, Holiday, House, ScheduleWindow, Zone
from policies.rules import DoorState


def states_of(doors: Sequence[Door]) -> dict[str, DoorState]:
    """What a decision asks of these doors, by device id."""
    zones: dict[str, dict[int, bool]] = {door.device_id: {} for door in doors}
    in_zones = Zone.devices.through.objects.filter(device__in=list(zones))
    for device, zone, lockdown in in_zones.values_list("device", "zone", "zone__lockdown"):
        zones[device][zone] = lockdown
    is_house_locked = House.objects.filter(lockdown=True).exists()
    windows = ScheduleWindow.objects.of(
        *(key for door in doors for key in (door.always_locked_id, door.always_unlocked_id))
    )
    opens = any(door.always_unlocked_id for door in doors)
    holidays = Holiday.objects.values_of_all() if opens else ()
    return {
        door.device_id: DoorState(
            device_id=door.device_id,
            switched_on=door.switched_on,
            zones=frozenset(zones[door.device_id]),
            lockdown=door.lockdown or any(zones[door.device_id].values()) or is_house_locked,
            locked_windows=windows.get(door.always_locked_id or 0, ()),
            unlocked_windows=windows.get(door.always_unlocked_id or 0, ()),
            holidays=holidays if door.always_unlocked_id else (),
        )
        for door in doors
    }
