from django.urls import path

from policies.views import cards, devices, sign_in

# The people face only: a device has no business here.
urlpatterns = [
    path("api/auth/token", sign_in.TokenView.as_view(), name="token-create"),
    path("api/auth/token/refresh", sign_in.TokenRefreshView.as_view(), name="token-refresh"),
    path("api/auth/token/revoke", sign_in.TokenRevokeView.as_view(), name="token-revoke"),
    path("api/policies/cards", cards.CardListView.as_view(), name="card-list"),
    path("api/policies/cards/<str:card_uid>", cards.CardView.as_view(), name="card-detail"),
    path("api/devices", devices.DeviceListView.as_view(), name="device-list"),
]
