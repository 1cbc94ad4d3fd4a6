"""What is offered: an Api, its operations, its stages, and the immutable deployments on them."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.utils.translation import gettext_lazy as _

from marketplace.models.accounts import Organization, Person
from marketplace.models.base import Entity


class Visibility(models.TextChoices):
    """Whether the catalogue lists an Api."""

    PUBLIC = "public", _("Public")
    PRIVATE = "private", _("Private")


class Api(Entity):
    """A product that a provider publishes. ``base_path`` is its place at the gateway, unique over the platform."""

    ID_PREFIX = "api"

    provider = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="apis")
    name = models.CharField(_("name"), max_length=80)
    slug = models.SlugField(max_length=80, unique=True)
    base_path = models.CharField(_("base path"), max_length=120, unique=True, help_text="/weather")
    summary = models.CharField(_("summary"), max_length=200, blank=True)
    description = models.TextField(_("description"), max_length=20_000, blank=True)
    category = models.CharField(_("category"), max_length=40, blank=True)
    visibility = models.CharField(max_length=8, choices=Visibility.choices, default=Visibility.PUBLIC)
    is_suspended = models.BooleanField(default=False)
    document = models.JSONField(default=dict, blank=True, help_text="the validated OpenAPI 3 document, as imported")
    document_version = models.CharField(max_length=40, blank=True)
    policies = models.JSONField(
        default=dict, blank=True, help_text="marketplace.contracts.definition.ApiPolicies as a dict"
    )
    search_tokens = SearchVectorField(null=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [GinIndex(fields=["search_tokens"], name="api_search_tokens")]

    def __str__(self) -> str:
        return self.name


class Operation(Entity):
    """One callable method and path template of an Api. Its id is stable over re-imports (same method and template)."""

    ID_PREFIX = "opn"

    api = models.ForeignKey(Api, on_delete=models.CASCADE, related_name="operations")
    method = models.CharField(max_length=8)
    path_template = models.CharField(max_length=300)
    name = models.CharField(max_length=120, help_text="operationId, or method and path")
    summary = models.CharField(max_length=300, blank=True)
    description = models.TextField(blank=True)
    tag = models.CharField(max_length=80, blank=True)
    parameters = models.JSONField(default=list, blank=True)
    request_body = models.JSONField(null=True, blank=True)
    responses = models.JSONField(default=dict, blank=True)
    position = models.PositiveIntegerField(default=0)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["api", "method", "path_template"], name="operation_once")]
        ordering = ["position", "path_template", "method"]


class StageName(models.TextChoices):
    """The named environments of an Api; X-Ca-Stage chooses one, release is the default."""

    TEST = "test", _("Test")
    PRE = "pre", _("Pre-release")
    RELEASE = "release", _("Release")


class Stage(Entity):
    """A named environment of an Api: its upstream, and the deployment that is live there."""

    ID_PREFIX = "stg"

    api = models.ForeignKey(Api, on_delete=models.CASCADE, related_name="stages")
    name = models.CharField(max_length=10, choices=StageName.choices)
    upstream_url = models.URLField(_("upstream"), max_length=300, blank=True)
    upstream_host = models.CharField(
        _("Host header"), max_length=253, blank=True, help_text="empty: the upstream's own host"
    )
    upstream_timeout_ms = models.PositiveIntegerField(_("time-out (ms)"), default=10_000)
    live_deployment = models.ForeignKey("Deployment", null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["api", "name"], name="stage_once")]


class Deployment(Entity):
    """An immutable published version of an Api on a Stage. A trigger refuses updates and deletions."""

    ID_PREFIX = "dep"

    stage = models.ForeignKey(Stage, on_delete=models.PROTECT, related_name="deployments")
    number = models.PositiveIntegerField()
    definition = models.JSONField(
        help_text="marketplace.contracts.definition.ApiDefinition as a dict: all the gateway needs"
    )
    checksum = models.CharField(max_length=64, help_text="SHA-256 of the canonical JSON of definition")
    note = models.CharField(max_length=300, blank=True)
    deployed_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["stage", "number"], name="deployment_number_once")]
        ordering = ["-number"]


class Activation(Entity):
    """A deployment became live on its stage at a moment, by a deploy or by a rollback. Appended, never edited."""

    ID_PREFIX = "act"

    stage = models.ForeignKey(Stage, on_delete=models.CASCADE, related_name="activations")
    deployment = models.ForeignKey(Deployment, null=True, on_delete=models.PROTECT, related_name="activations")
    kind = models.CharField(
        max_length=10, choices=[("deploy", _("Deploy")), ("rollback", _("Rollback")), ("withdraw", _("Withdraw"))]
    )
    person = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
