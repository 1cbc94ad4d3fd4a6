"""Every page of the portal, for the tests that look at all of them: (name, who looks, path)."""

from typing import Any

ANYBODY, ALICE, BOB, OSCAR = "", "alice@nimbus.example", "bob@bluebird.example", "oscar@tollgate.example"


def pages_list(scene: Any) -> list[tuple[str, str, str]]:
    """All pages that a scene can show."""
    operation = scene.api.operations.order_by("position").first()
    consumer, provider = f"/o/{scene.bluebird.slug}", f"/o/{scene.nimbus.slug}/provider"
    api, app = f"{provider}/apis/{scene.api.public_id}", f"{consumer}/apps/{scene.app.public_id}"
    listing = f"/apis/{scene.api.slug}"
    earlier = scene.api.stages.get(name="release").deployments.get(number=1)
    member = scene.bluebird.memberships.get(person=scene.alice)
    return [
        ("home", ANYBODY, "/"),
        ("catalog", ANYBODY, "/apis/"),
        ("catalog-none", ANYBODY, "/apis/?q=zeppelin"),
        ("listing", ANYBODY, f"{listing}/"),
        ("listing-operations", ANYBODY, f"{listing}/operations/"),
        ("listing-pricing", ANYBODY, f"{listing}/pricing/"),
        ("operation", ANYBODY, f"{listing}/operations/{operation.public_id}/"),
        ("errors", ANYBODY, "/errors/"),
        ("error", ANYBODY, "/errors/A403IS"),
        ("not-found", ANYBODY, "/nothing/here/"),
        ("login", ANYBODY, "/accounts/login/"),
        ("signup", ANYBODY, "/accounts/signup/"),
        ("password-reset", ANYBODY, "/accounts/password/reset/"),
        ("consumer-home", BOB, f"{consumer}/"),
        ("app-list", BOB, f"{consumer}/apps/"),
        ("app-new", BOB, f"{consumer}/apps/new/"),
        ("app", BOB, f"{app}/"),
        ("app-empty", BOB, f"{consumer}/apps/{scene.empty_app.public_id}/"),
        ("app-edit", BOB, f"{app}/edit/"),
        ("app-delete", BOB, f"{app}/delete/"),
        ("rotate", BOB, f"{consumer}/credentials/{scene.credential.public_id}/rotate/"),
        ("revoke", BOB, f"{consumer}/credentials/{scene.credential.public_id}/revoke/"),
        ("usage", BOB, f"{consumer}/usage/"),
        ("usage-none", BOB, f"{consumer}/usage/?since=2020-01-01&until=2020-01-02"),
        ("team", BOB, f"{consumer}/team/"),
        ("member-remove", BOB, f"{consumer}/team/{member.public_id}/remove/"),
        ("tokens", BOB, f"{consumer}/tokens/"),
        ("settings", BOB, f"{consumer}/settings/"),
        ("profile", BOB, "/profile/"),
        ("own-tokens", BOB, "/profile/tokens/"),
        ("organization-new", BOB, "/organizations/new/"),
        ("security", BOB, "/accounts/2fa/"),
        ("email", BOB, "/accounts/email/"),
        ("password", BOB, "/accounts/password/change/"),
        ("sessions", BOB, "/accounts/sessions/"),
        ("provider-home", ALICE, f"{provider}/"),
        ("api-list", ALICE, f"{provider}/apis/"),
        ("api-new", ALICE, f"{provider}/apis/new/"),
        ("api", ALICE, f"{api}/"),
        ("api-operations", ALICE, f"{api}/operations/"),
        ("api-import", ALICE, f"{api}/import/"),
        ("api-upstreams", ALICE, f"{api}/upstreams/"),
        ("api-policies", ALICE, f"{api}/policies/"),
        ("api-deployments", ALICE, f"{api}/deployments/"),
        ("api-rollback", ALICE, f"{api}/deployments/{earlier.public_id}/rollback/"),
        ("api-withdraw", ALICE, f"{api}/withdraw/release/"),
        ("api-subscribers", ALICE, f"{api}/subscribers/"),
        ("api-listing", ALICE, f"{api}/listing/"),
        ("provider-usage", ALICE, f"{provider}/usage/"),
        ("forbidden", ALICE, f"{consumer}/apps/new/"),
        ("operator-health", OSCAR, "/operator/"),
        ("operator-organizations", OSCAR, "/operator/organizations/"),
        ("operator-suspend", OSCAR, f"/operator/organizations/{scene.bluebird.public_id}/suspend/"),
        ("operator-listings", OSCAR, "/operator/listings/"),
        ("styleguide", OSCAR, "/styleguide/"),
    ]
