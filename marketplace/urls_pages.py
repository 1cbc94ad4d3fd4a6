"""The pages of the portal. Consumer and provider pages lie below their organization: /o/<slug>/…"""

from django.urls import URLPattern, URLResolver, include, path

from marketplace.views import (
    account,
    catalog,
    consumer,
    credentials,
    editor,
    operator,
    organization,
    provider,
    styleguide,
    tokens,
    usage,
)

app_name = "pages"

_provider = [
    path("", provider.provider_home, name="provider_home"),
    path("usage/", usage.provider_usage, name="provider_usage"),
    path("usage.csv", usage.provider_usage_csv, name="provider_usage_csv"),
    path("apis/", provider.api_list, name="api_list"),
    path("apis/new/", provider.api_new, name="api_new"),
    path("apis/new/review/", provider.api_review, name="api_review"),
    path("apis/<str:api_id>/", editor.api_overview, name="api_overview"),
    path("apis/<str:api_id>/operations/", editor.api_operations, name="api_operations"),
    path("apis/<str:api_id>/import/", editor.api_import, name="api_import"),
    path("apis/<str:api_id>/upstreams/", editor.api_upstreams, name="api_upstreams"),
    path("apis/<str:api_id>/upstreams/<slug:stage>/", editor.api_upstream_set, name="api_upstream_set"),
    path("apis/<str:api_id>/policies/", editor.api_policies, name="api_policies"),
    path("apis/<str:api_id>/deployments/", editor.api_deployments, name="api_deployments"),
    path("apis/<str:api_id>/deploy/", editor.api_deploy, name="api_deploy"),
    path("apis/<str:api_id>/deployments/<str:deployment_id>/rollback/", editor.api_rollback, name="api_rollback"),
    path("apis/<str:api_id>/withdraw/<slug:stage>/", editor.api_withdraw, name="api_withdraw"),
    path("apis/<str:api_id>/subscribers/", editor.api_subscribers, name="api_subscribers"),
    path("apis/<str:api_id>/listing/", editor.api_listing, name="api_listing"),
]

_organization: list[URLPattern | URLResolver] = [
    path("", consumer.consumer_home, name="consumer_home"),
    path("apps/", consumer.app_list, name="app_list"),
    path("apps/new/", consumer.app_new, name="app_new"),
    path("apps/<str:app_id>/", consumer.app_detail, name="app_detail"),
    path("apps/<str:app_id>/edit/", consumer.app_edit, name="app_edit"),
    path("apps/<str:app_id>/delete/", consumer.app_remove, name="app_remove"),
    path("apps/<str:app_id>/credentials/", credentials.credential_new, name="credential_new"),
    path("credentials/<str:credential_id>/rotate/", credentials.credential_renew, name="credential_rotate"),
    path("credentials/<str:credential_id>/revoke/", credentials.credential_end, name="credential_revoke"),
    path("usage/", usage.usage, name="usage"),
    path("usage.csv", usage.usage_csv, name="usage_csv"),
    path("team/", organization.team, name="team"),
    path("team/<str:membership_id>/role/", organization.member_role, name="member_role"),
    path("team/<str:membership_id>/remove/", organization.member_end, name="member_end"),
    path("invitations/<str:invitation_id>/withdraw/", organization.invitation_end, name="invitation_end"),
    path("tokens/", tokens.token_list, name="token_list"),
    path("tokens/<str:token_id>/revoke/", tokens.token_end, name="token_end"),
    path("settings/", organization.organization_settings, name="organization_settings"),
    path("provider/", include(_provider)),
]

urlpatterns = [
    path("", catalog.home, name="home"),
    path("apis/", catalog.catalog, name="catalog"),
    path("apis/<slug:slug>/", catalog.listing, name="listing"),
    path("apis/<slug:slug>/operations/", catalog.listing_operations, name="listing_operations"),
    path("apis/<slug:slug>/operations/<str:operation_id>/", catalog.operation, name="operation"),
    path("apis/<slug:slug>/pricing/", catalog.listing_pricing, name="listing_pricing"),
    path("apis/<slug:slug>/openapi.json", catalog.listing_document, name="listing_document"),
    path("o/<slug:slug>/", include(_organization)),
    path("profile/", account.profile, name="profile"),
    path("profile/tokens/", tokens.own_token_list, name="own_token_list"),
    path("profile/tokens/<str:token_id>/revoke/", tokens.own_token_end, name="own_token_end"),
    path("preferences/theme/", account.theme_set, name="theme_set"),
    path("organizations/new/", account.organization_new, name="organization_new"),
    path("invitations/<str:token>/", account.invitation, name="invitation"),
    path("operator/", operator.operator_health, name="operator_health"),
    path("operator/organizations/", operator.operator_organizations, name="operator_organizations"),
    path(
        "operator/organizations/<str:organization_id>/suspend/",
        operator.operator_organization_suspend,
        name="operator_organization_suspend",
    ),
    path("operator/listings/", operator.operator_listings, name="operator_listings"),
    path("operator/listings/<str:api_id>/suspend/", operator.operator_listing_suspend, name="operator_listing_suspend"),
    path("styleguide/", styleguide.styleguide, name="styleguide"),
]
