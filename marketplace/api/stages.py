"""Endpoints of an API's stages and deployments: upstream, deploy, roll back, withdraw."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from marketplace.api.apis import ApiEndpoint
from marketplace.api.base import Paged, Strict, operation
from marketplace.core.upstreams import TIMEOUT_MS_MAX, TIMEOUT_MS_MIN
from marketplace.models import Api, Stage, StageName
from marketplace.selectors import catalog as shelf
from marketplace.selectors.paging import page_take
from marketplace.services import catalog


class StageOut(serializers.Serializer[Any]):
    """A stage and what is live there."""

    name = serializers.ChoiceField(choices=StageName.choices)
    upstream_url = serializers.CharField()
    upstream_host = serializers.CharField()
    upstream_timeout_ms = serializers.IntegerField()
    live_deployment = serializers.SerializerMethodField()

    def get_live_deployment(self, stage: Stage) -> str | None:
        """Public id, null when nothing is live."""
        return stage.live_deployment.public_id if stage.live_deployment else None


class StagesOut(serializers.Serializer[Any]):
    """The stages of an API."""

    data = StageOut(many=True)


class StageChange(Strict):
    """Where calls of a stage go."""

    upstream_url = serializers.CharField(max_length=300)
    upstream_host = serializers.CharField(max_length=253, allow_blank=True, required=False)
    upstream_timeout_ms = serializers.IntegerField(min_value=TIMEOUT_MS_MIN, max_value=TIMEOUT_MS_MAX, required=False)


class DeploymentOut(serializers.Serializer[Any]):
    """An immutable published version of an API on a stage."""

    id = serializers.CharField(source="public_id")
    stage = serializers.CharField(source="stage.name")
    number = serializers.IntegerField()
    checksum = serializers.CharField()
    note = serializers.CharField()
    is_live = serializers.SerializerMethodField()
    deployed_by = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()

    def get_is_live(self, deployment: Any) -> bool:
        """Whether gateways serve it now."""
        return bool(deployment.stage.live_deployment_id == deployment.id)

    def get_deployed_by(self, deployment: Any) -> str | None:
        """Public id of the person, null for the platform."""
        return deployment.deployed_by.public_id if deployment.deployed_by else None


class DeploymentIn(Strict):
    """Why it is deployed."""

    note = serializers.CharField(max_length=300, allow_blank=True, required=False, default="")


class RollbackIn(Strict):
    """The deployment to go back (or forward) to."""

    deployment = serializers.CharField(max_length=64)


class DeploymentsQuery(Paged):
    """The deployments of one stage, or of all."""

    stage = serializers.ChoiceField(choices=StageName.choices, required=False, default="")


class Stages(ApiEndpoint):
    @operation("List an API's stages", scope="apis:read", answer=StagesOut)
    def get(self, request: Request, api: str) -> Response:
        return Response(StagesOut({"data": shelf.stages_list(api=self.api_find(api))}).data)


class StageOne(ApiEndpoint):
    def stage_find(self, api: Api, stage: str) -> Stage:
        """The stage named in the address."""
        return shelf.stage_get(api=api, name=stage)

    @operation("Show a stage", scope="apis:read", answer=StageOut, has_etag=True)
    def get(self, request: Request, api: str, stage: str) -> Response:
        return self.entity_response(StageOut(self.stage_find(self.api_find(api), stage)).data)

    @operation("Set a stage's upstream", scope="apis:write", body=StageChange, answer=StageOut, has_etag=True)
    def patch(self, request: Request, api: str, stage: str) -> Response:
        found = self.api_find(api, is_changed=True)
        row = self.stage_find(found, stage)
        self.match_require(StageOut(row).data)
        changed = catalog.stage_upstream_set(
            api=found,
            stage=row.name,
            url=self.body.get("upstream_url", row.upstream_url),
            host=self.body.get("upstream_host", row.upstream_host),
            timeout_ms=self.body.get("upstream_timeout_ms", row.upstream_timeout_ms),
            person=self.person,
        )
        return self.entity_response(StageOut(changed).data)


class StageDeploy(ApiEndpoint):
    @operation(
        "Deploy an API on a stage",
        scope="apis:write",
        body=DeploymentIn,
        answer=DeploymentOut,
        status=201,
        creates=True,
    )
    def post(self, request: Request, api: str, stage: str) -> Response:
        found = self.api_find(api, is_changed=True)
        row = shelf.stage_get(api=found, name=stage)
        deployment = catalog.deployment_publish(
            api=found, stage=row.name, person=self.person, note=self.body.get("note", "")
        )
        return Response(DeploymentOut(deployment).data, status=201)


class StageRollback(ApiEndpoint):
    @operation("Go back to another deployment", scope="apis:write", body=RollbackIn, answer=StageOut)
    def post(self, request: Request, api: str, stage: str) -> Response:
        found = self.api_find(api, is_changed=True)
        row = shelf.stage_get(api=found, name=stage)
        deployment = shelf.deployment_get(api=found, public_id=self.body["deployment"])
        catalog.deployment_rollback(stage=row, deployment=deployment, person=self.person)
        return Response(StageOut(shelf.stage_get(api=found, name=stage)).data)


class StageWithdraw(ApiEndpoint):
    @operation("Take a stage offline", scope="apis:write", answer=StageOut)
    def post(self, request: Request, api: str, stage: str) -> Response:
        found = self.api_find(api, is_changed=True)
        catalog.deployment_withdraw(stage=shelf.stage_get(api=found, name=stage), person=self.person)
        return Response(StageOut(shelf.stage_get(api=found, name=stage)).data)


class Deployments(ApiEndpoint):
    @operation("List deployments", scope="apis:read", query=DeploymentsQuery, answer=DeploymentOut, many=True)
    def get(self, request: Request, api: str) -> Response:
        stage = self.query.pop("stage", "")
        rows = shelf.deployments_list(api=self.api_find(api), stage=stage)
        return self.page_response(page_take(rows, bound={"of": api, "stage": stage}, **self.query), DeploymentOut)


class DeploymentOne(ApiEndpoint):
    @operation("Show a deployment", scope="apis:read", answer=DeploymentOut, has_etag=True)
    def get(self, request: Request, api: str, deployment: str) -> Response:
        found = shelf.deployment_get(api=self.api_find(api), public_id=deployment)
        return self.entity_response(DeploymentOut(found).data)
