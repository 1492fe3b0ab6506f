"""Uniqueness on each site: a constraint for it, and what makes models of other people have it.

A value that is unique on all sites together tells one site what another has, and takes it away from
it. Nothing here needs the models: `include_site` is called while they are made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS
from django.db.backends.utils import names_digest, split_identifier
from django.db.models import Q, UniqueConstraint
from django.db.models.fields.related import lazy_related_operation
from django.db.models.signals import class_prepared

from sitefleet.scoping.introspection import names_in, parts_with_site
from sitefleet.scoping.outside import specs
from sitefleet.scoping.scopes import scopes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from django.db.models import Model

    from sitefleet.scoping.outside import Spec

#: The most that Django lets names of constraints have; those of Oracle.
LONGEST_NAME = 30
#: What SCOPED_MODELS says where uniqueness is not to be touched: ``{"unique": "keep"}``.
KEEP = "keep"


class SiteUniqueConstraint(UniqueConstraint):
    """Django's constraint, for values that are unique on each site: name the site's field too.

    Forms do not show that field, and Django validates no constraint of which a form leaves a field
    out, so that the database answers with an error instead of the form. This one is validated. In
    migrations it is Django's own.
    """

    def validate(
        self,
        model: type[Model],
        instance: Model,
        exclude: Collection[str] | None = None,
        using: str = DEFAULT_DB_ALIAS,
    ) -> None:
        """Raise ValidationError, beside the field where there is but one beside the site."""
        scope = scopes.of(model)
        site = scope.field if scope is not None else None
        try:
            super().validate(model, instance, set(exclude or ()) - {site}, using)
        except ValidationError as error:
            names = tuple(name for name in self.fields if name != site)
            if error.code != "unique_together" or not names:
                raise
            message = instance.unique_error_message(model, names)
            if len(names) > 1:
                raise message from None
            raise ValidationError({names[0]: message}) from None

    def deconstruct(self) -> Any:
        """Return Django's constraint, so that migrations do not need sitefleet."""
        _, args, kwargs = super().deconstruct()
        return "django.db.models.UniqueConstraint", args, kwargs


#: What `include_site` has changed: by model and field, the constraints in the place of ``unique``.
_replaced: dict[tuple[type[Model], str], list[SiteUniqueConstraint]] = {}


def include_site(model: type[Model], spec: Spec) -> None:
    """Make what is unique in a model of SCOPED_MODELS unique on each site.

    Called when the class is prepared and has the field of its site. Unique fields and
    ``unique_together`` become constraints; constraints get the site in front, and keep their names.
    The primary key, fields that foreign keys refer to, and one-to-one fields, whose other end holds
    a single object, stay as they are; so does what includes a reference to another scoped model,
    whose rows belong to a site themselves. `check_constraints` tells what is left.
    """
    if spec.unique == KEEP:
        return
    opts: Any = model._meta
    site, shared = spec.field, spec.shared
    bound = {site, *_references(model)}
    constraints: list[Any] = []
    for constraint in opts.constraints:
        # Not what we do not know, nor operator classes, of which the site would need one too.
        known = type(constraint) is UniqueConstraint and not constraint.opclasses  # type: ignore[attr-defined]
        if known and not bound & names_in(constraint, site):
            constraints += _with_site(constraint, model, site, shared=shared)
        else:
            constraints.append(constraint)
    together = []
    for names in opts.unique_together:
        if bound & set(names):
            together.append(names)
        else:
            constraints += per_site(model, site, names, shared=shared)
    login = getattr(model, "USERNAME_FIELD", None)  # Django demands that it is unique
    for field in opts.local_fields:
        keeps = field.primary_key or field.one_to_one or field.name in {*bound, login}
        if field._unique and not keeps:
            field._unique = False
            made = _replaced[model, field.name] = per_site(model, site, [field.name], shared=shared)
            # The same may have been said by `unique_together` already.
            constraints += [each for each in made if each not in constraints]
    opts.unique_together = opts.original_attrs["unique_together"] = tuple(together)
    _set_constraints(opts, constraints)
    _watch_references(model)


def _set_constraints(opts: Any, constraints: list[Any]) -> None:
    opts.constraints = opts.original_attrs["constraints"] = constraints
    opts._expire_cache()
    opts.__dict__.pop("total_unique_constraints", None)  # which Django 5.2 forgets there


def per_site(
    model: type[Model], site: str, names: Iterable[str], *, shared: bool
) -> list[SiteUniqueConstraint]:
    """Return the constraints by which fields are unique on each site.

    Two where rows may be ``shared`` by all sites: for SQL no NULL equals another.
    """
    fields = [site, *names]
    made = [SiteUniqueConstraint(fields=fields, name=name_for(model, fields, "site"))]
    if shared:
        made.append(
            SiteUniqueConstraint(
                fields=fields[1:],
                condition=Q(**{f"{site}__isnull": True}),
                name=name_for(model, fields, "all"),
            )
        )
    return made


def name_for(model: type[Model], fields: Iterable[str], suffix: str) -> str:
    """Return the name of a constraint: always the same, and of at most 30 characters."""
    fields = list(fields)
    table = split_identifier(model._meta.db_table)[1]
    # As Django names indexes: what tells it apart stands in the digest.
    digest = names_digest(table, *fields, suffix, length=6)
    name = f"{table[:11]}_{fields[-1][:7]}_{digest}_{suffix}"
    return name[:LONGEST_NAME]


def _with_site(
    constraint: UniqueConstraint, model: type[Model], site: str, *, shared: bool
) -> Iterator[SiteUniqueConstraint]:
    expressions, kwargs = parts_with_site(constraint, site)
    yield SiteUniqueConstraint(*expressions, **kwargs)
    if shared and constraint.nulls_distinct is not False:
        is_shared = Q(**{f"{site}__isnull": True})
        condition = constraint.condition & is_shared if constraint.condition else is_shared
        name = name_for(model, (constraint.name, site), "all")
        changes = {"condition": condition, "name": name}
        _, own, given = constraint.deconstruct()
        yield SiteUniqueConstraint(*own, **{**given, **changes})


def _references(model: type[Model]) -> Iterator[str]:
    """Yield the names of fields to models of SCOPED_MODELS whose rows belong to one site each."""
    listed = specs()
    for field in model._meta.local_fields:
        if field.remote_field is not None:
            target = listed.get(_label(model, field.remote_field.model))
            if target is not None and not target.shared:
                yield field.name


def _label(model: type[Model], target: Any) -> str:
    if not isinstance(target, str):
        return str(target._meta.label_lower)
    if target == "self":
        return model._meta.label_lower
    # What is not made yet is named as in the source.
    return (target if "." in target else f"{model._meta.app_label}.{target}").lower()


def _watch_references(model: type[Model]) -> None:
    """Let fields that foreign keys refer to by ``to_field`` be unique: databases demand it."""
    class_prepared.connect(_model_prepared, dispatch_uid="sitefleet.scoping.constraints")
    for models in [*model._meta.apps.all_models.values()]:
        for known in [*models.values()]:
            _model_prepared(known)
    _model_prepared(model)


def _model_prepared(sender: Any, **_: Any) -> None:
    if all(model._meta.apps is not sender._meta.apps for model, _ in _replaced):
        return  # as the models of migrations: nothing was changed there
    for field in sender._meta.local_fields:
        names = [name for name in getattr(field, "to_fields", ()) if name not in (None, "self")]
        if names:
            target = field.remote_field.model
            lazy_related_operation(_keep_unique, sender, target, names=names)


def _keep_unique(_: type[Model], target: type[Model], names: list[str]) -> None:
    opts: Any = target._meta
    for name in names:
        ours = _replaced.pop((target, name), None)
        if ours is not None:
            opts.get_field(name)._unique = True
            _set_constraints(opts, [item for item in opts.constraints if item not in ours])
