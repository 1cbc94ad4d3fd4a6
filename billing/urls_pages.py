"""The pages of billing: a consumer's below /o/<slug>/, a provider's below /o/<slug>/provider/, the platform's below /finance/."""

from django.urls import include, path

from billing.views import checkout, listing, subscriptions

app_name = "billing"

_consumer = [
    path("subscribe/<str:plan_id>/", checkout.subscription_new, name="subscription_new"),
    path("subscriptions/", subscriptions.subscriptions, name="subscription_list"),
    path("subscriptions/<str:subscription_id>/", subscriptions.subscription_detail, name="subscription_detail"),
    path(
        "subscriptions/<str:subscription_id>/plan/<str:plan_id>/",
        subscriptions.subscription_plan,
        name="subscription_plan",
    ),
    path("subscriptions/<str:subscription_id>/cancel/", subscriptions.subscription_end, name="subscription_end"),
    path("subscriptions/<str:subscription_id>/keep/", subscriptions.subscription_keep, name="subscription_keep"),
]

urlpatterns = [
    path("subscribe/<str:plan_id>/", listing.subscribe_enter, name="subscribe"),
    path("o/<slug:slug>/", include(_consumer)),
]
