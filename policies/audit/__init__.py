"""Every change of a policy is written down: who, when, which way, of what, before and after.

Django changes rows in five ways, and each is recorded in the transaction of the change: an
instance's `save` and `delete`, a query set's `update`, `bulk_create` and `delete`. The first two
are wrapped, because a save outside a transaction is committed before its signals are sent; tables
of many-to-many fields and those of other apps are given our query set. (What is written past
Django, by `psql` or `loaddata`, is not seen here.)

What is about to change is read before, and again at the end of the outermost `recording` block:
what really differs then is one entry an object, however many steps it took. Rows that belong to an
object (the windows of a schedule, the doors of a rule) are part of that object's entry.
"""

from policies.audit.ledger import recording
from policies.audit.subjects import kinds
from policies.audit.wrapping import RecordedQuerySet, use, watch

__all__ = ["RecordedQuerySet", "kinds", "recording", "use", "watch"]
