from django.urls import path

from policies.views import cards, devices, people, rules, schedules, sign_in, visits, zones

# The people face only: a device has no business here.
urlpatterns = [
    path("api/auth/token", sign_in.TokenView.as_view(), name="token-create"),
    path("api/auth/token/refresh", sign_in.TokenRefreshView.as_view(), name="token-refresh"),
    path("api/auth/token/revoke", sign_in.TokenRevokeView.as_view(), name="token-revoke"),
    path("api/policies/cards", cards.CardListView.as_view(), name="card-list"),
    path("api/policies/cards/<str:card_uid>", cards.CardView.as_view(), name="card-detail"),
    path("api/policies/people", people.PersonListView.as_view(), name="person-list"),
    path("api/policies/people/<int:id>", people.PersonView.as_view(), name="person-detail"),
    path("api/policies/groups", people.GroupListView.as_view(), name="group-list"),
    path("api/policies/groups/<int:id>", people.GroupView.as_view(), name="group-detail"),
    path("api/policies/zones", zones.ZoneListView.as_view(), name="zone-list"),
    path("api/policies/zones/<int:id>", zones.ZoneView.as_view(), name="zone-detail"),
    path("api/policies/schedules", schedules.ScheduleListView.as_view(), name="schedule-list"),
    path(
        "api/policies/schedules/<int:id>", schedules.ScheduleView.as_view(), name="schedule-detail"
    ),
    path("api/policies/holidays", schedules.HolidayListView.as_view(), name="holiday-list"),
    path("api/policies/holidays/<int:id>", schedules.HolidayView.as_view(), name="holiday-detail"),
    path("api/policies/rules", rules.RuleListView.as_view(), name="rule-list"),
    path("api/policies/rules/<int:id>", rules.RuleView.as_view(), name="rule-detail"),
    path("api/policies/lockdown", zones.LockdownView.as_view(), name="lockdown"),
    path("api/policies/visits", visits.VisitListView.as_view(), name="visit-list"),
    path("api/policies/visits/<uuid:id>", visits.VisitView.as_view(), name="visit-detail"),
    path("api/devices", devices.DeviceListView.as_view(), name="device-list"),
]
