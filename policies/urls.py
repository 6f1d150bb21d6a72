from django.urls import path

from policies import views

# The people face only: a device has no business here.
urlpatterns = [
    path("api/auth/token", views.TokenView.as_view(), name="token-create"),
    path("api/auth/token/refresh", views.TokenRefreshView.as_view(), name="token-refresh"),
    path("api/auth/token/revoke", views.TokenRevokeView.as_view(), name="token-revoke"),
    path("api/policies/cards", views.CardListView.as_view(), name="card-list"),
    path("api/policies/cards/<str:card_uid>", views.CardView.as_view(), name="card-detail"),
    path("api/devices", views.DeviceListView.as_view(), name="device-list"),
]
